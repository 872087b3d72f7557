// A swarm written by hand on Node's `ws`: boots and beats in a closed loop, and has no behaviour at all.
import { readSync, writeSync } from 'node:fs'
import WebSocket from 'ws'

const IN_FLIGHT = 50
const WARM_UP = 10
const BOOT = '{"chargePointVendor":"loadsim","chargePointModel":"virtual"}'
const [url, connections, calls] = process.argv.slice(-3)
const swarm = []

// Says that a phase is over, and stands still until a line comes.
function pause (word) {
  writeSync(1, `${word}\n`)
  if (readSync(0, Buffer.alloc(256)) === 0) process.exit(1)
}

function connect (number) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}/N${number}`, 'ocpp1.6', { perMessageDeflate: false })
    const charge = { socket, number, left: 0, told: resolve }
    socket.on('error', reject)
    socket.on('open', () => socket.send(`[2,"${number}","BootNotification",${BOOT}]`))
    socket.on('message', data => {
      JSON.parse(data)
      if (charge.left > 0) beat(charge)
      else charge.told()
    })
    swarm.push(charge)
  })
}

function beat (charge) {
  charge.left -= 1
  charge.socket.send(`[2,"${charge.number}-${charge.left}","Heartbeat",{}]`)
}

function beatAll (count) {
  return Promise.all(swarm.map(charge => new Promise(resolve => {
    charge.left = count
    charge.told = resolve
    beat(charge)
  })))
}

pause('ready')
let next = 0
await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
  while (next < Number(connections)) await connect(next++)
}))
pause('connected')
await beatAll(WARM_UP)
pause('warm')
await beatAll(Number(calls))
pause('done')
process.exit(0)
