// An OpenID provider for the tests, with the npm package oidc-provider. Settings come
// as JSON in CARRYON_PROVIDER; test/internal/providers starts it and says what they
// mean. It listens on two ports of 127.0.0.1: one for the protocol and one for the
// test. Its state is in a file, so that it survives being killed.
import * as crypto from 'node:crypto'
import * as fs from 'node:fs'
import * as http from 'node:http'
import Provider from 'oidc-provider'

const settings = JSON.parse(process.env.CARRYON_PROVIDER)
const counts = { codes: 0, refreshes: 0, reused: 0 }

// The state is a map. The file is the log of its changes.
const state = new Map()
if (fs.existsSync(settings.file)) {
  const lines = fs.readFileSync(settings.file, 'utf8').split('\n')
  for (const line of lines.slice(0, -1)) remember(...JSON.parse(line))
}
const log = fs.openSync(settings.file, 'a')

function remember (key, value) {
  if (value === null) state.delete(key)
  else state.set(key, value)
}

function put (key, value) {
  fs.writeSync(log, JSON.stringify([key, value]) + '\n')
  remember(key, value)
}

function live (value) {
  return value && (!value.until || value.until > Date.now()) ? value.payload : undefined
}

function find (kind, test) {
  for (const [key, value] of state) {
    if (key.startsWith(kind + ':') && live(value) && test(value.payload)) return value.payload
  }
}

class Adapter {
  constructor (kind) { this.kind = kind }
  key (id) { return this.kind + ':' + id }
  async upsert (id, payload, seconds) {
    put(this.key(id), { payload, until: seconds ? Date.now() + seconds * 1000 : 0 })
  }

  async find (id) { return live(state.get(this.key(id))) }
  async findByUid (uid) { return find(this.kind, (p) => p.uid === uid) }
  async findByUserCode (code) { return find(this.kind, (p) => p.userCode === code) }
  async destroy (id) { put(this.key(id), null) }
  async consume (id) {
    const value = state.get(this.key(id))
    put(this.key(id), { ...value, payload: { ...value.payload, consumed: Math.floor(Date.now() / 1000) } })
  }

  async revokeByGrantId (grantId) {
    for (const [key, value] of state) {
      if (value.payload?.grantId === grantId) put(key, null)
    }
  }
}

function secrets () {
  if (!state.has('secrets')) {
    const pair = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = { ...pair.privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }
    put('secrets', { key, cookies: crypto.randomBytes(32).toString('hex') })
  }
  return state.get('secrets')
}

const resource = 'https://api.example'

const provider = new Provider(settings.issuer, {
  adapter: Adapter,
  jwks: { keys: [secrets().key] },
  cookies: { keys: [secrets().cookies] },
  clients: [{
    client_id: 'client',
    client_secret: settings.secret,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: settings.redirects,
    post_logout_redirect_uris: settings.afterLogout,
    backchannel_logout_uri: settings.backChannel,
    backchannel_logout_session_required: !settings.logoutBySubject,
    id_token_signed_response_alg: 'ES256'
  }],
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  claims: { openid: ['sub'], profile: ['name', 'filler'], email: ['email'] },
  conformIdTokenClaims: false, // the ID token has the claims of the scopes
  rotateRefreshToken: true, // a token that is used twice revokes the grant
  expiresWithSession: () => false,
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Ada ' + sub, email: sub + '@example.com', filler: filler(settings.idFiller) })
  }),
  extraTokenClaims: () => ({ filler: filler(settings.accessFiller) }),
  interactions: { url: (ctx, interaction) => '/interaction/' + interaction.uid },
  ttl: { AccessToken: settings.seconds, IdToken: 24 * 3600, RefreshToken: 24 * 3600, Session: 24 * 3600, Grant: 24 * 3600, Interaction: 3600, AuthorizationCode: 60 },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: confirmLogout },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.jwt ? resource : undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid profile email offline_access',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.seconds,
        jwt: { sign: { alg: 'ES256' } }
      })
    }
  }
})
provider.proxy = true

function filler (bytes) { // base64url that does not compress, as real claims hardly do
  return bytes ? crypto.randomBytes(bytes).toString('base64url').slice(0, bytes) : undefined
}

provider.on('grant.success', (ctx) => {
  if (ctx.oidc.params.grant_type === 'refresh_token') counts.refreshes++
  else counts.codes++
})
provider.on('grant.error', (ctx, error) => {
  if (error.error_detail === 'refresh token already used') counts.reused++
})
for (const name of ['server_error', 'backchannel.error']) {
  provider.on(name, (ctx, error) => console.error(name, error.message))
}

function page (body) {
  return '<!doctype html><meta charset="utf-8"><title>Provider</title>' + body
}

function confirmLogout (ctx, form) {
  ctx.body = page(form + '<button id="yes" type="submit" form="op.logoutForm" value="yes" name="logout">Sign out</button>')
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => '&#' + c.charCodeAt(0) + ';')

// interact signs a visitor in: at once, or after a form with a button.
async function interact (req, res, body) {
  const { uid, params, session, prompt } = await provider.interactionDetails(req, res)
  if (settings.form && req.method !== 'POST') {
    const user = escape(params.login_hint || 'ada')
    res.setHeader('Content-Type', 'text/html; charset=utf-8')
    res.end(page(`<form method="post" action="/interaction/${uid}"><input name="user" value="${user}"><button id="sign-in">Sign in</button></form>`))
    return
  }
  // Who is signed in here only consents: a login would end the other tabs' interactions.
  const login = prompt.name === 'login'
  const accountId = (!login && session?.accountId) || body.get('user') || params.login_hint || 'ada'
  const grant = new provider.Grant({ accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  if (settings.jwt) grant.addResourceScope(resource, 'openid profile email offline_access')
  const grantId = await grant.save()
  await provider.interactionFinished(req, res, { ...(login && { login: { accountId } }), consent: { grantId } }, { mergeWithLastSubmission: false })
}

async function read (req) {
  let text = ''
  for await (const part of req) text += part
  return text
}

async function serve (req, res) {
  if (!req.url.startsWith('/interaction/')) return provider.callback()(req, res)
  await interact(req, res, new URLSearchParams(req.method === 'POST' ? await read(req) : ''))
}

// control is for the test: counts, new settings, and the end of a visitor's sessions.
async function control (req, res) {
  const text = await read(req)
  if (req.url === '/settings') Object.assign(settings, JSON.parse(text))
  if (req.url === '/logout') {
    const client = await provider.Client.find('client')
    await client.backchannelLogout(...JSON.parse(text))
  }
  res.end(JSON.stringify(counts))
}

function listen (port, handler) {
  const server = http.createServer((req, res) => {
    handler(req, res).catch((error) => {
      console.error(error.message)
      res.statusCode = 500
      res.end()
    })
  })
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server.address().port)))
}

const ports = { protocol: await listen(settings.port || 0, serve), control: await listen(0, control) }
console.log('ready ' + JSON.stringify(ports))
process.stdin.on('end', () => process.exit(0)).resume() // the test has ended
