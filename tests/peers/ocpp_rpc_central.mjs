// A central system on npm `ocpp-rpc` in strict mode: every call and every answer is held against the schemas.
// node ocpp_rpc_central.mjs --port 0 [--interval 300] [--ask] [--ask-interval 120] [--ask-tag TAG] [--ask-all FILE] [--lifetime 300]

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import rpc from 'ocpp-rpc';
import { Asker, CLOSED, readPlan } from './ocpp_rpc_asking.mjs';
import { Transactions } from './ocpp_rpc_books.mjs';

const { values: chosen } = parseArgs({
    options: {
        'port': { type: 'string', default: '0' },
        'lifetime': { type: 'string', default: '300' },
        'interval': { type: 'string', default: '300' },
        'ask': { type: 'boolean', default: false },
        'ask-interval': { type: 'string', default: '120' },
        'ask-tag': { type: 'string', default: 'REMOTE0001' },
        'ask-all': { type: 'string', default: '' },
        'ask-timeout': { type: 'string', default: '30' },
    },
});

const KNOWN_VENDORS = 'com.example.'; // their data is accepted
const TEXTS_KEPT = 20; // of errors: enough to see what is wrong
const BACKLOG = 8192;

const record = {
    peer: 'ocpp_rpc_central',
    connections: { opened: 0, without_subprotocol: 0, turned_away: 0 },
    booted: 0,
    received: {},
    refused: {},
    closes: {},
    errors: { count: 0, texts: [] },
    asked: {},
};
const booted = new Set();
const clients = new Map(); // by identity, the latest connection of each
const transactions = new Transactions();

const add = (counts, key) => { counts[key] = (counts[key] ?? 0) + 1; };
const now = () => new Date().toISOString();

function fail(text) {
    record.errors.count += 1;
    if (record.errors.texts.length < TEXTS_KEPT) record.errors.texts.push(text.slice(0, 500));
}

function tagInfo(action, idTag) {
    const blocked = idTag.startsWith('BLK');
    if (!blocked && !(idTag.startsWith('INV') && action === 'StartTransaction')) return { status: 'Accepted' };
    add(record.refused, action);
    return { status: blocked ? 'Blocked' : 'Invalid' };
}

async function ask(client) {
    const calls = [
        ['GetConfiguration', {}],
        ['ChangeConfiguration', { key: 'HeartbeatInterval', value: chosen['ask-interval'] }],
        ['TriggerMessage', { requestedMessage: 'Heartbeat' }],
        ['RemoteStartTransaction', { idTag: chosen['ask-tag'], connectorId: 1 }],
    ];
    for (const [action, payload] of calls) {
        const [outcome, answer] = await call(client, action, payload);
        const keys = answer.configurationKey?.length ?? 0;
        add(record.asked[action] ??= {}, outcome === 'answered' ? `${keys} keys` : outcome);
        if (outcome === CLOSED) return;
    }
}

async function call(client, action, payload) {
    try {
        const answer = await client.call(action, payload, { callTimeoutMs: chosen['ask-timeout'] * 1000 });
        return [answer.status ?? 'answered', answer];
    } catch (error) {
        if (error.name === 'AbortError' || client.state !== 1) return [CLOSED, {}];
        return [error instanceof rpc.TimeoutError ? 'time-out' : `error ${error.rpcErrorCode ?? error.message}`, {}];
    }
}

const asker = new Asker(readPlan(chosen['ask-all']), async (identity, action, payload) => {
    const [outcome, answer] = await call(clients.get(identity), action, payload);
    add(record.asked[action] ??= {}, outcome);
    return [outcome, answer];
}, fail);

const answers = {
    BootNotification: (client) => {
        const putOff = asker.isPutOff(client.identity);
        if (!putOff) booted.add(client.identity);
        if (chosen.ask) setImmediate(ask, client);
        setImmediate(() => asker.booted(client.identity));
        return { status: putOff ? 'Pending' : 'Accepted', currentTime: now(), interval: Number(chosen.interval) };
    },
    Heartbeat: () => ({ currentTime: now() }),
    Authorize: (_client, { idTag }) => ({ idTagInfo: tagInfo('Authorize', idTag) }),
    StartTransaction: (client, payload) => {
        const transactionId = transactions.start(client.identity, payload);
        asker.started(client.identity, payload.connectorId, transactionId);
        return { transactionId, idTagInfo: tagInfo('StartTransaction', payload.idTag) };
    },
    StopTransaction: (_client, payload) => {
        transactions.stop(payload);
        return {};
    },
    StatusNotification: () => ({}),
    MeterValues: (_client, payload) => {
        transactions.noteValues(payload);
        return {};
    },
    DataTransfer: (_client, { vendorId }) => {
        if (vendorId.startsWith(KNOWN_VENDORS)) return { status: 'Accepted', data: 'thanks' };
        add(record.refused, 'DataTransfer');
        return { status: 'UnknownVendorId' };
    },
    FirmwareStatusNotification: () => ({}),
    DiagnosticsStatusNotification: () => ({}),
    LogStatusNotification: () => ({}),
    SecurityEventNotification: () => ({}),
    SignCertificate: () => ({ status: 'Accepted' }),
    SignedFirmwareStatusNotification: () => ({}),
};

const server = new rpc.RPCServer({ protocols: ['ocpp1.6'], strictMode: true });
server.on('upgradeAborted', () => { record.connections.turned_away += 1; });
server.on('client', (client) => {
    record.connections.opened += 1;
    if (client.protocol !== 'ocpp1.6') {
        record.connections.without_subprotocol += 1;
        client.close({ code: 1002, reason: 'ocpp1.6 expected' });
        return;
    }
    clients.set(client.identity, client);
    client.on('call', ({ outbound, payload }) => { if (!outbound) add(record.received, payload[2]); });
    client.on('strictValidationFailure', ({ outbound, isCall, method, error }) => {
        fail(`strict: ${outbound ? 'ours' : 'theirs'}, ${isCall ? 'call' : 'answer'} ${method}: ${error.message} ${JSON.stringify(error.details ?? {})}`);
    });
    client.on('badMessage', ({ buffer, error }) => fail(`bad message: ${error.message} ${error.rpcErrorMessage ?? ''}: ${buffer}`));
    client.on('socketError', (error) => fail(`socket: ${error.message}`));
    client.on('close', ({ code }) => add(record.closes, code === 1006 ? 'none' : code === 1005 ? 'empty' : String(code)));
    for (const [action, answer] of Object.entries(answers)) {
        client.handle(action, ({ params }) => {
            setImmediate(() => asker.hear(client.identity, action, params)); // by then it has been answered
            return answer(client, params);
        });
    }
    client.handle(({ method }) => {
        fail(`no handler: ${method}`);
        throw rpc.createRPCError('NotImplemented');
    });
});

let ended = false;
function end() {
    if (ended) return;
    ended = true;
    record.booted = booted.size;
    record.transactions = transactions.record();
    Object.assign(record, asker.record());
    process.stdout.write(`${JSON.stringify(record)}\n`, () => process.exit(0));
}

const http = createServer({ noDelay: true }, (_request, response) => {
    response.statusCode = 404;
    response.end();
});
http.on('upgrade', server.handleUpgrade);
http.listen({ port: Number(chosen.port), host: '127.0.0.1', backlog: BACKLOG }, () => {
    process.stdout.write(`${JSON.stringify({ url: `ws://127.0.0.1:${http.address().port}/ocpp` })}\n`);
});
process.stdin.on('data', end); // a line ends it too: a sibling may have inherited the pipe and hold it open
process.stdin.on('end', end);
process.stdin.on('error', end);
setTimeout(end, Number(chosen.lifetime) * 1000);
