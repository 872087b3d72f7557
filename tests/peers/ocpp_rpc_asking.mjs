// Asks charge points by a script, whose grammar `asking.py` describes.

import { readFileSync } from 'node:fs';

export const CLOSED = 'connection closed';

class Asked {
    answers = [];
    transactions = new Map(); // by connector
    missed = null;
    finished = false;
    #heard = [];
    #wake = () => {};
    #certificateRequest = '';
    #installed = {};

    constructor(identity, plan, steps) {
        this.identity = identity;
        this.plan = plan;
        this.steps = steps;
    }

    hear(action, payload) {
        this.#heard.push([action, payload]);
        if (action === 'SignCertificate') this.#certificateRequest = payload.csr;
        this.#wake();
    }

    async run(ask) {
        for (const [number, step] of this.steps.entries()) {
            const mark = step.ever ? 0 : this.#heard.length;
            if (step.send) {
                const payload = await this.#filled(step.with ?? {});
                const [outcome, answer] = await ask(this.identity, step.send, payload);
                this.answers.push([step.send, outcome, answer]);
                if (answer.certificateHashData) this.#installed = answer.certificateHashData[0];
                if (outcome === CLOSED) {
                    this.missed = `step ${number}, ${JSON.stringify(step)}: ${CLOSED}`;
                    return;
                }
            }
            if (step.until && !await this.#until(mark, ...step.until)) {
                this.missed = `step ${number}, ${JSON.stringify(step)}: since then only ${JSON.stringify(this.#heard.slice(mark))}`;
                return;
            }
        }
        this.finished = true;
    }

    async #until(mark, action, values) {
        const came = () => this.#heard.slice(mark).some(([name, payload]) => name === action
            && Object.entries(values).every(([key, value]) => payload[key] === value));
        const ends = Date.now() + this.plan.patience * 1000;
        while (!came()) {
            const left = ends - Date.now();
            if (left <= 0) return false;
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#wake = () => { clearTimeout(timer); resolve(); };
            });
        }
        return true;
    }

    async #filled(value) {
        if (Array.isArray(value)) return Promise.all(value.map((item) => this.#filled(item)));
        if (value !== null && typeof value === 'object') {
            const filled = {};
            for (const [key, item] of Object.entries(value)) filled[key] = await this.#filled(item);
            return filled;
        }
        if (typeof value !== 'string' || !value.startsWith('$')) return value;
        const [name, argument] = value.split(' ');
        switch (name) {
            case '$transaction':
                if (!this.transactions.has(Number(argument))) throw Error(`no transaction at connector ${argument}`);
                return this.transactions.get(Number(argument));
            case '$now': return new Date(Date.now() + Number(argument) * 1000).toISOString();
            case '$certificate': {
                const response = await fetch(`${this.plan.sign_at}?${encodeURIComponent(this.#certificateRequest)}`);
                if (!response.ok) throw Error(`signed with status ${response.status}`);
                return response.text();
            }
            case '$installed': return this.#installed;
            default: return value;
        }
    }
}

export function readPlan(path) {
    const defaults = { scripts: {}, pending: null, remote_start: null, remote_tag: 'REMOTE0001', sign_at: '', patience: 20 };
    return path ? { ...defaults, ...JSON.parse(readFileSync(path, 'utf8')) } : defaults;
}

export class Asker {
    #asked = new Map();

    constructor(plan, ask, fail) {
        this.plan = plan;
        this.ask = ask;
        this.fail = fail;
    }

    isPutOff(identity) {
        return this.plan.pending !== null && identity.startsWith(this.plan.pending) && !this.#asked.has(identity);
    }

    booted(identity) {
        const found = Object.entries(this.plan.scripts).find(([prefix]) => identity.startsWith(prefix));
        if (found === undefined || this.#asked.has(identity)) return;
        const asked = new Asked(identity, this.plan, found[1]);
        this.#asked.set(identity, asked);
        asked.run(this.ask).catch((error) => this.fail(`asking: ${error.stack}`));
    }

    hear(identity, action, payload) {
        this.#asked.get(identity)?.hear(action, payload);
        const { remote_start: prefix, remote_tag: idTag } = this.plan;
        if (action === 'StatusNotification' && payload.status === 'Preparing' && prefix !== null && identity.startsWith(prefix)) {
            const { connectorId } = payload;
            this.ask(identity, 'RemoteStartTransaction', { idTag, connectorId }).catch((error) => this.fail(`asking: ${error.stack}`));
        }
    }

    started(identity, connector, transaction) {
        this.#asked.get(identity)?.transactions.set(connector, transaction);
    }

    record() {
        const all = [...this.#asked.values()];
        return {
            answers: Object.fromEntries(all.map((asked) => [asked.identity, asked.answers])),
            missed: Object.fromEntries(all.filter((asked) => asked.missed).map((asked) => [asked.identity, asked.missed])),
            finished: all.filter((asked) => asked.finished).map((asked) => asked.identity).sort(),
        };
    }
}
