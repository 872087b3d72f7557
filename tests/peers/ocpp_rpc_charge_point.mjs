// A charge point on npm `ocpp-rpc` in strict mode: every call and every answer is held against the schemas.
// node ocpp_rpc_charge_point.mjs URL SCRIPT
//
// The script is a file of JSON. `odd` are texts that are sent as they stand, over a connection of their own, whose
// identity is that of the URL with -odd behind it. `calls` are actions with their payloads, sent one after the other;
// $transaction stands for the id of the last StartTransaction. `answers` are what the CSMS's calls are answered with,
// by action. Then comes a line, {"ready": true}; calls are answered until a line comes on stdin, and a report ends it:
// what was answered to each of `odd`; `complaints` of the validator; `calls` counted by action, their `answers` and
// `errors`; what was `asked` for, and how often it was `answered`.

import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import rpc from 'ocpp-rpc';
import WebSocket from 'ws';

const [url, path] = process.argv.slice(2);
const script = JSON.parse(readFileSync(path, 'utf8'));
const [, endpoint, segment] = url.match(/^(.*)\/([^/]*)$/);
const identity = decodeURIComponent(segment); // the client encodes it
const LIFETIME = 60_000;
const A_MOMENT = 500;

setTimeout(() => process.exit(3), LIFETIME).unref();

async function sayOddThings() {
    const websocket = new WebSocket(`${url}-odd`, ['ocpp1.6']);
    await once(websocket, 'open');
    const answers = [];
    for (const text of script.odd) {
        const answer = new Promise((resolve) => {
            const timer = setTimeout(() => { websocket.removeAllListeners('message'); resolve([]); }, A_MOMENT);
            websocket.once('message', (data) => { clearTimeout(timer); resolve(JSON.parse(data)); });
        });
        websocket.send(text);
        answers.push(await answer);
    }
    websocket.close(1000);
    await once(websocket, 'close');
    return answers;
}

const report = { odd: await sayOddThings(), complaints: [], calls: {}, answers: [], errors: [], asked: [], answered: 0 };
const complain = (text) => report.complaints.push(text.slice(0, 500));

const client = new rpc.RPCClient({ endpoint, identity, protocols: ['ocpp1.6'], strictMode: true, reconnect: false });
client.on('strictValidationFailure', ({ outbound, method, error }) => complain(
    `strict: ${outbound ? 'ours' : 'theirs'}, ${method}: ${error.message} ${JSON.stringify(error.details ?? {})}`,
));
client.on('badMessage', ({ buffer, error }) => complain(`bad message: ${error.message}: ${buffer}`));
client.on('socketError', (error) => complain(`socket: ${error.message}`));
client.on('message', ({ message, outbound }) => {
    const [kind, , ...rest] = JSON.parse(message);
    if (outbound && kind === 2) report.calls[rest[0]] = (report.calls[rest[0]] ?? 0) + 1;
    else if (outbound && kind === 3) report.answered += 1;
    else if (kind === 2) report.asked.push(rest);
    else if (kind === 3) report.answers.push(rest[0]);
    else report.errors.push(rest);
});
for (const [action, answer] of Object.entries(script.answers)) client.handle(action, () => answer);

await client.connect();
let transaction = null;
for (const [action, payload] of script.calls) {
    const filled = Object.fromEntries(
        Object.entries(payload).map(([key, value]) => [key, value === '$transaction' ? transaction : value]),
    );
    const answer = await client.call(action, filled);
    transaction = answer.transactionId ?? transaction;
}
process.stdout.write('{"ready": true}\n');
await once(process.stdin, 'data');
await client.close({ code: 1000 });
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
