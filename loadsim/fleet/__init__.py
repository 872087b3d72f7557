"""The charge points of one shard: who they are, when they are online, what happens to them."""

from loadsim.fleet.fleet import Fleet
from loadsim.fleet.members import Member, first_numbers, shard_members, tag_pool

__all__ = ["Fleet", "Member", "first_numbers", "shard_members", "tag_pool"]
