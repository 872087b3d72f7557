// What a central system can know of transactions: as `books.py`, for the same record.

const add = (counts, key) => { counts[key] = (counts[key] ?? 0) + 1; };

export class Transactions {
    #seen = new Map();
    #starts = new Map(); // meterStart by id
    #running = new Set();
    #energy = 0; // watt-hours
    #counts = { repeated_starts: 0, repeated_stops: 0, unknown_stops: 0, unknown_values: 0, backwards: 0, with_data: 0, reserved: 0 };
    #reasons = {};

    start(identity, payload) {
        const event = JSON.stringify([identity, payload.connectorId, payload.idTag, payload.timestamp, payload.meterStart]);
        if (this.#seen.has(event)) {
            this.#counts.repeated_starts += 1;
            return this.#seen.get(event);
        }
        const number = this.#seen.size + 1;
        this.#seen.set(event, number);
        this.#starts.set(number, payload.meterStart);
        this.#running.add(number);
        if ('reservationId' in payload) this.#counts.reserved += 1;
        return number;
    }

    stop(payload) {
        const number = payload.transactionId;
        if (!this.#starts.has(number)) {
            this.#counts.unknown_stops += 1;
            return;
        }
        if (!this.#running.delete(number)) {
            this.#counts.repeated_stops += 1;
            return;
        }
        const energy = payload.meterStop - this.#starts.get(number);
        this.#energy += energy;
        if (energy < 0) this.#counts.backwards += 1;
        if ('transactionData' in payload) this.#counts.with_data += 1;
        add(this.#reasons, payload.reason ?? 'none');
    }

    noteValues(payload) {
        if ('transactionId' in payload && !this.#starts.has(payload.transactionId)) this.#counts.unknown_values += 1;
    }

    record() {
        return {
            started: this.#starts.size,
            stopped: Object.values(this.#reasons).reduce((sum, count) => sum + count, 0),
            open: this.#running.size,
            energy_wh: this.#energy,
            ...this.#counts,
            reasons: this.#reasons,
        };
    }
}
