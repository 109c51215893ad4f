// dynalite, which ends when a client hangs up in the middle of a request. Tests
// do that on purpose: a visitor can.
process.on('uncaughtException', function (err) {
  if (err.code === 'ECONNRESET' || err.code === 'EPIPE') return
  console.error(err)
  process.exit(1)
})
require('dynalite/cli.js')
