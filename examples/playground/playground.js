// The page of the playground. Every button is one call of the JSON API; after
// each, the session is fetched again and every panel draws itself from it. A
// new part of the picture is a new panel: a function in `panels`.

const $ = id => document.getElementById(id)
const cookieBytes = Number(document.body.dataset.cookieBytes)
const utf8 = new TextEncoder()

const panels = [drawStatus, drawFacts, drawCookies, drawValues, drawRaw]

// --- calls -----------------------------------------------------------------

// call makes one call and notes it down; its answer is {status, text}.
async function call(method, path, body) {
  const delay = $('delay').value.trim()
  const address = method !== 'GET' && delay ? `${path}?delay=${encodeURIComponent(delay)}` : path
  const begun = performance.now()
  let answer
  try {
    const response = await fetch(address, { method, body, cache: 'no-store' })
    answer = { status: response.status, text: await response.text() }
  } catch (error) {
    answer = { status: 0, text: String(error) }
  }
  note(method, address, answer, performance.now() - begun)
  hint(answer)
  return answer
}

// hints say what to do about a refusal, where there is something to do.
const hints = {
  'unknown key': '浏览器带来的 Cookie 是用别的密钥封存的(例如上次运行时的临时密钥),为免覆盖而拒绝写入。点“更换 ID”或“销毁”即可重新开始。',
  'too large': '会话超出了允许的容量,没有写入;浏览器里的 Cookie 保持原样。',
}

function hint(answer) {
  let reason = ''
  try { reason = JSON.parse(answer.text).reason } catch { /* not an error's JSON */ }
  $('hint').textContent = answer.status >= 400 ? hints[reason] ?? '' : ''
}

// quiet fetches without a note: what the page shows of the state.
async function quiet(path) {
  const response = await fetch(path, { cache: 'no-store' })
  return { status: response.status, text: await response.text() }
}

const valuePath = name => '/api/values/' + encodeURIComponent(name)

async function act(method, path, body) {
  const answer = await call(method, path, body)
  await refresh()
  return answer
}

// --- the picture -----------------------------------------------------------

// refresh fetches the session and its values and has every panel drawn.
// What comes late, after a newer one, is thrown away.
let latest = 0
async function refresh() {
  const turn = ++latest
  try {
    const answer = await quiet('/api/session')
    if (answer.status !== 200) throw new Error(answer.text)
    const picture = JSON.parse(answer.text)
    const values = await Promise.all(picture.names.map(async name => {
      const value = await quiet(valuePath(name))
      return { name, text: value.status === 200 ? value.text : null }
    }))
    if (turn !== latest) return
    for (const draw of panels) draw(picture, values)
  } catch (error) {
    if (turn === latest) badge('无法读取', 'bad')
    console.error(error)
  }
}

function badge(text, kind) {
  $('status').textContent = text
  $('status').className = 'badge ' + kind
}

function drawStatus(picture) {
  badge(picture.new ? '无会话' : '已识别', picture.new ? '' : 'good')
}

function drawFacts(picture) {
  const facts = [
    ['ID', picture.id || '—'],
    ['创建', time(picture.created)],
    ['到期', time(picture.expires)],
  ]
  $('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', { className: name === 'ID' ? 'mono' : '' }, value))))
}

function drawCookies(picture) {
  $('total').textContent = `请求中 Cookie 共 ${count(picture.request_cookie_bytes)} 字节`
  const bars = picture.cookies.map(cookie => bar(cookie.name, cookie.bytes, cookieBytes))
  $('cookies').replaceChildren(...(bars.length ? bars : [empty('浏览器还没有带来会话 Cookie')]))
}

function drawValues(_, values) {
  $('count').textContent = `${values.length} 个`
  const rows = values.map(({ name, text }) => {
    const remove = element('button', { className: 'quiet danger small', onclick: () => act('DELETE', valuePath(name)) }, '删除')
    const edit = element('button', { className: 'link', title: '放到读写框', onclick: () => fill(name, text ?? '') }, name)
    return element('tr', {},
      element('td', {}, edit),
      element('td', { className: 'value' }, text === null ? '(不是文本)' : shorten(text)),
      element('td', { className: 'num' }, text === null ? '—' : count(utf8.encode(text).length)),
      element('td', { className: 'num' }, remove))
  })
  $('values').replaceChildren(...(rows.length ? rows : [element('tr', {}, element('td', { colSpan: 4 }, empty('还没有值')))]))
}

function drawRaw(picture) {
  $('raw').textContent = JSON.stringify(picture, null, 2)
}

// bar is a number of bytes against what fits.
function bar(name, bytes, most) {
  const fill = element('div', { className: 'fill' + (bytes > most * 0.9 ? ' full' : '') })
  fill.style.width = Math.min(100, 100 * bytes / most) + '%'
  return element('div', { className: 'bar-line' },
    element('div', { className: 'bar-label' },
      element('span', { className: 'mono' }, name),
      element('span', { className: 'num' }, `${count(bytes)} / ${count(most)}`)),
    element('div', { className: 'track' }, fill))
}

// note writes a call into the list, the newest first.
function note(method, address, answer, ms) {
  const good = answer.status >= 200 && answer.status < 300
  const line = element('li', {},
    element('span', { className: 'method' }, method),
    element('span', { className: 'mono path' }, address),
    element('span', { className: 'badge ' + (good ? 'good' : 'bad') }, answer.status || '失败'),
    element('span', { className: 'num' }, `${Math.round(ms)} ms`))
  if (answer.text) line.append(element('pre', {}, shorten(answer.text, 400)))
  $('calls').prepend(line)
  while ($('calls').children.length > 30) $('calls').lastChild.remove()
}

// --- small things ----------------------------------------------------------

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

const empty = text => element('p', { className: 'empty' }, text)
const count = n => n.toLocaleString('en-US')
const time = text => text ? new Date(text).toLocaleString('zh-CN', { hour12: false }) : '—'
const shorten = (text, most = 120) => text.length > most ? `${text.slice(0, most)}… (${count(text.length)})` : text

function fill(name, text) {
  $('name').value = name
  $('value').value = text
  $('size').value = ''
}

$('edit').onsubmit = event => {
  event.preventDefault()
  const size = Number($('size').value)
  act('PUT', valuePath($('name').value), size > 0 ? 'x'.repeat(size) : $('value').value)
}
$('get').onclick = async () => {
  const answer = await call('GET', valuePath($('name').value))
  if (answer.status === 200) $('value').value = answer.text
}
$('delete').onclick = () => act('DELETE', valuePath($('name').value))
$('renew').onclick = () => act('POST', '/api/renew')
$('destroy').onclick = () => act('POST', '/api/destroy')
$('refresh').onclick = refresh

refresh()
