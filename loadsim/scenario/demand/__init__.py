"""What a plan asks for, in expectation: connects, sessions and calls by action, stage by stage (pure)."""

from loadsim.scenario.demand.flow import Flow, assumed_interval
from loadsim.scenario.demand.stages import StageDemand, Surge, demands, most_online, surges

__all__ = ["Flow", "StageDemand", "Surge", "assumed_interval", "demands", "most_online", "surges"]
