// Prints, as one JSON object, what express-session does on each request of a
// visit, for each setting of resave, saveUninitialized, rolling, unset and maxAge:
// the store's calls, whether a cookie is set, and the body.
'use strict';
const http = require('http');
const session = require('express-session');

class Store extends session.Store {
  constructor() { super(); this.rows = new Map(); this.calls = []; }
  done(call, cb, ...answer) { this.calls.push(call); if (cb) cb(null, ...answer); }
  get(id, cb) { this.done('get', cb, this.rows.has(id) ? JSON.parse(this.rows.get(id)) : null); }
  set(id, s, cb) { this.rows.set(id, JSON.stringify(s)); this.done('set', cb); }
  touch(id, s, cb) { this.done('touch', cb); }
  destroy(id, cb) { this.rows.delete(id); this.done('destroy', cb); }
}

function program(options) {
  const run = session(options);
  return http.createServer((req, res) => run(req, res, () => {
    const url = new URL(req.url, 'http://localhost');
    const name = req.session.user || '';
    if (url.pathname === '/write') req.session.user = url.searchParams.get('user');
    if (url.pathname === '/unset') { req.session.user = 'dropped'; req.session = null; }
    res.end(name);
  }));
}

// express-session sends the last byte after it has called the store, and this
// store answers at once, so that the calls are complete when the body is.
function ask(server, path, cookie) {
  return new Promise((resolve, reject) => {
    const headers = cookie ? { cookie } : {};
    http.get({ host: '127.0.0.1', port: server.address().port, path, headers }, (res) => {
      let body = '';
      res.on('data', (part) => { body += part; });
      res.on('end', () => resolve({ body, cookie: (res.headers['set-cookie'] || [''])[0] }));
    }).on('error', reject);
  });
}

async function visit(options) {
  const store = new Store();
  const server = program({ ...options, secret: 'only a test', store });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const lines = [];
  let cookie = '';
  for (const path of ['/look', '/write?user=ada', '/look', '/write?user=eve', '/unset', '/look']) {
    store.calls = [];
    const answer = await ask(server, path, cookie);
    if (answer.cookie) cookie = answer.cookie.split(';')[0];
    const sets = !answer.cookie ? '-' : /Expires=/.test(answer.cookie) ? 'cookie with an end' : 'cookie';
    lines.push(`${path}: ${store.calls.join(' ') || '-'}; ${sets}; ${answer.body}`);
  }
  await new Promise((done) => server.close(done));
  return lines;
}

(async () => {
  const all = {};
  for (const resave of [false, true]) {
    for (const saveUninitialized of [false, true]) {
      for (const rolling of [false, true]) {
        for (const unset of ['keep', 'destroy']) {
          for (const maxAge of [null, 3600000]) {
            const name = [resave, saveUninitialized, rolling, unset, maxAge !== null].join(' ');
            all[name] = await visit({ resave, saveUninitialized, rolling, unset, cookie: { maxAge } });
          }
        }
      }
    }
  }
  console.log(JSON.stringify(all));
})();
