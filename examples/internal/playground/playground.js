// The page of the playground. Every button is one call of the JSON API; after
// each, the session is fetched again and every panel draws itself from it. A
// new part of the picture is a new panel: a function in `panels`.

const $ = id => document.getElementById(id)
const utf8 = new TextEncoder()

const panels = [drawStatus, drawFacts, drawSize, drawBudget, drawSlots, drawCookies, drawValues, drawRaw]

// --- calls -----------------------------------------------------------------

// call makes one call and notes it down; its answer is {status, text}.
async function call(method, path, body) {
  const delay = $('delay').value.trim()
  const address = method !== 'GET' && delay ? `${path}?delay=${encodeURIComponent(delay)}` : path
  const begun = performance.now()
  const answer = await attempt(method, address, body)
  note(method, address, answer, performance.now() - begun)
  hint(answer)
  return answer
}

// attempt makes one call; where no answer comes, its status is 0.
async function attempt(method, address, body) {
  try {
    const response = await fetch(address, { method, body, cache: 'no-store' })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    return { status: 0, text: String(error) }
  }
}

// hints say what to do about a refusal, where there is something to do.
const hints = {
  'unknown key': '浏览器带来的 Cookie 是用别的密钥封存的(例如上次运行时的临时密钥),为免覆盖而拒绝写入。点“更换 ID”或“销毁”即可重新开始。',
  'store down': '会话在存储里,而存储没有应答。浏览器里的 Cookie 保持原样,存储恢复后会话仍在。',
  'too large': '会话超出了允许的容量,没有写入;浏览器里的 Cookie 保持原样。',
}

function hint(answer) {
  $('hint').textContent = answer.status >= 400 ? hints[reasonOf(answer)] ?? '' : ''
}

function reasonOf(answer) {
  try { return JSON.parse(answer.text).reason } catch { return '' } // not an error's JSON
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
  const words = { inline: '未分块', chunked: '已分块', stored: '已存储' }
  $('mode').textContent = words[picture.mode] ?? ''
  $('mode').hidden = !picture.mode
}

function drawFacts(picture) {
  const facts = [
    ['ID', picture.id || '—'],
    ['创建', time(picture.created)],
    ['到期', time(picture.expires)],
  ]
  if (picture.subject) facts.push(['用户', picture.subject])
  if (picture.record) facts.push(['记录', `${picture.record.id},第 ${picture.record.revision} 版,${count(picture.record.bytes)} 字节`])
  if (picture.store_calls) facts.push(['存储往返', String(picture.store_calls)])
  $('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', { className: name === 'ID' ? 'mono' : '' }, value))))
}

// rows of the budget: what it is called, and what is not known.
const budgetRows = [
  ['request_bytes', '请求 Cookie 头,字节'],
  ['response_bytes', '上次写入的 Set-Cookie,字节'],
  ['set_cookie_lines', '上次写入的 Set-Cookie,行'],
  ['cookie_bytes', '最大的 Cookie(含属性),字节'],
]

function drawBudget({ budget, request_cookie_bytes }) {
  $('total').textContent = `请求中 Cookie 共 ${count(request_cookie_bytes)} 字节`
  $('budget').replaceChildren(...budgetRows.map(([field, label]) => bar([label], budget[field])))
}

// drawSlots shows a square for each cookie that a request may carry: ours in
// the colours of their groups, the program's own, and the free ones.
function drawSlots({ budget, groups }) {
  const { max, used } = budget.cookies
  const slots = groups.flatMap((g, i) => Array(g.pieces).fill(['slot ' + colour(i), g.tag]))
  while (slots.length < used) slots.push(['slot foreign', '其他 Cookie'])
  while (slots.length < max) slots.push(['slot', '空'])
  $('slots').replaceChildren(...slots.map(([className, title], i) =>
    element('span', { className: className + (i < max ? '' : ' over'), title })))
  $('slots').ariaLabel = `已用 ${used} 个,共 ${max} 个`
  $('slots-count').textContent = `${used} / ${max}`
}

// filler is text of so many bytes. The spaces keep it from being taken for
// base64url text, which is packed.
const filler = bytes => 'x '.repeat(Math.ceil(bytes / 2)).slice(0, bytes)

// --- size ------------------------------------------------------------------

// The slider writes one value of so many kilobytes; the stages show where the
// session is then.
const sliderValue = '大小'

function drawSize({ mode, groups, record }, values) {
  const value = values.find(v => v.name === sliderValue)
  const bytes = value?.text == null ? 0 : utf8.encode(value.text).length
  if (document.activeElement !== $('slider')) $('slider').value = Math.round(bytes / 1000)
  const pieces = groups.reduce((n, g) => n + g.pieces, 0)
  $('size-note').textContent = mode ? `${count(bytes)} 字节 → ${pieces} 个 Cookie` + (record ? `,记录 ${count(record.bytes)} 字节` : '') : ''
  for (const stage of $('stages').children) {
    stage.className = stage.dataset.mode === mode ? 'here' : ''
    stage.ariaCurrent = stage.dataset.mode === mode ? 'step' : null
  }
}

$('slider').oninput = () => { $('size-note').textContent = `${$('slider').value} KB` }
$('slider').onchange = () => act('PUT', valuePath(sliderValue), filler(1000 * $('slider').value))

const kinds = { head: '头', reference: '引用', cell: '单元', logout: '退出标记', seen: '活跃时间', '': '未解封' }
const colour = i => 'c' + i % 8

// drawCookies has one block for each sealed value: what it is, what is in it,
// and a bar for each of its cookies.
function drawCookies({ cookies, groups, chunks, budget, mode }) {
  const most = budget.cookie_bytes.max
  const cells = groups.filter(g => g.kind === 'cell').length
  $('pieces').textContent = mode ? `${cells} 个单元,共 ${chunks} 个 Cookie` : ''
  const ours = new Set()
  const blocks = groups.map((g, i) => {
    const its = cookies.filter(c => c.name.split('.')[1] === (g.tag || undefined))
    its.forEach(c => ours.add(c))
    return element('div', { className: 'group ' + colour(i) },
      element('div', { className: 'what' },
        element('span', { className: 'kind' }, kinds[g.kind] ?? g.kind),
        ...(g.kind && !g.counts ? [element('span', { className: 'badge' }, '不再计入')] : []),
        ...g.entries.map(name => element('span', { className: 'entry' }, shorten(name, 24)))),
      ...its.map(c => bar([c.name], { used: c.bytes, max: most }, 'mono')))
  })
  blocks.push(...cookies.filter(c => !ours.has(c)).map(c => bar([c.name], { used: c.bytes, max: most }, 'mono')))
  $('cookies').replaceChildren(...(blocks.length ? blocks : [empty('浏览器还没有带来会话 Cookie')]))
}

function drawValues({ groups, record }, values) {
  $('count').textContent = `${values.length} 个`
  const rows = values.map(({ name, text }) => {
    const remove = element('button', { className: 'quiet danger small', onclick: () => act('DELETE', valuePath(name)) }, '删除')
    const edit = element('button', { className: 'link', title: '放到读写框', onclick: () => fill(name, text ?? '') }, name)
    const sources = groups.flatMap((g, i) => g.entries.includes(name)
      ? [element('span', { className: 'source ' + colour(i) }, kinds[g.kind] + (g.tag && ' ' + g.tag))] : [])
    if (record?.entries.includes(name)) sources.push(element('span', { className: 'source' }, '记录'))
    return element('tr', {},
      element('td', {}, edit),
      element('td', { className: 'value' }, text === null ? '(不是文本)' : shorten(text, 60)),
      element('td', {}, ...sources),
      element('td', { className: 'num' }, text === null ? '—' : count(utf8.encode(text).length)),
      element('td', { className: 'num' }, remove))
  })
  $('values').replaceChildren(...(rows.length ? rows : [element('tr', {}, element('td', { colSpan: 5 }, empty('还没有值')))]))
}

function drawRaw(picture) {
  $('raw').textContent = JSON.stringify(picture, null, 2)
}

// bar is a number against its limit; used is null where it is not known.
function bar(label, { used, max }, kind = '') {
  const fill = element('div', { className: 'fill' + (used > max ? ' full' : '') })
  fill.style.width = Math.min(100, 100 * (used ?? 0) / max) + '%'
  return element('div', { className: 'bar-line' },
    element('div', { className: 'bar-label' },
      element('span', { className: kind }, ...label),
      element('span', { className: 'num' }, `${used === null ? '—' : count(used)} / ${count(max)}`)),
    element('div', { className: 'track' }, fill))
}

// note writes a call into the list, the newest first.
function note(method, address, answer, ms) {
  const good = answer.status >= 200 && answer.status < 300
  const line = element('li', {},
    element('span', { className: 'method' }, method),
    element('span', { className: 'mono path' }, decodeURI(address)),
    element('span', { className: 'badge ' + (good ? 'good' : 'bad') }, answer.status || '失败'),
    element('span', { className: 'num' }, `${Math.round(ms)} ms`))
  if (answer.text) line.append(element('pre', {}, shorten(answer.text, 400)))
  $('calls').prepend(line)
  while ($('calls').children.length > 30) $('calls').lastChild.remove()
}

// --- parallel writes -------------------------------------------------------

// race has many requests at once write a name each, then reads all of them
// back: what was acknowledged must be there. Where there is no session, the
// first write begins it alone: requests without one would each begin their own.
async function race(writers, bytes, overlap) {
  const turn = Math.random().toString(36).slice(2, 8)
  const writes = Array.from({ length: writers }, (_, i) => ({
    name: `并行-${String(i + 1).padStart(2, '0')}`, text: `${turn}-${i + 1}-`.padEnd(bytes, 'x '),
  }))
  $('ticks').replaceChildren(...writes.map(w => w.tick = element('li', {}, w.name)))
  verdict(`${writers} 个写入进行中…`, '')
  const begun = performance.now()
  const write = async w => {
    const answer = await attempt('PUT', `${valuePath(w.name)}?delay=${encodeURIComponent(overlap)}`, w.text)
    w.stored = answer.status === 204
    if (!w.stored) w.reason = reasonOf(answer) || answer.status || '失败'
  }
  const begin = JSON.parse((await quiet('/api/session')).text).new ? 1 : 0
  for (const w of writes.slice(0, begin)) await write(w)
  await Promise.all(writes.slice(begin).map(write))
  const ms = performance.now() - begun
  await Promise.all(writes.map(async w => {
    const value = await attempt('GET', valuePath(w.name))
    w.found = value.status === 200 && value.text === w.text
  }))
  judge(writes)
  note('PUT', `${writers} × ${valuePath('…')}`, { status: writes.every(w => w.stored) ? 204 : 413, text: '' }, ms)
  await refresh()
}

function judge(writes) {
  for (const w of writes) {
    w.tick.className = w.stored ? (w.found ? 'kept' : 'lost') : 'refused'
    w.tick.title = w.reason ?? ''
    w.tick.append(w.stored ? (w.found ? ' ✓' : ' ✗') : ` — ${w.reason}`)
  }
  const stored = writes.filter(w => w.stored), lost = stored.filter(w => !w.found)
  const refused = writes.length - stored.length
  if (lost.length) verdict(`已确认的写入丢了 ${lost.length} 个`, 'bad')
  else if (!stored.length) verdict(`${refused} 个写入都被拒绝`, 'bad')
  else if (refused) verdict(`已确认的 ${stored.length} 个都在,${refused} 个被拒绝`, 'good')
  else verdict(`${stored.length} 个写入都在`, 'good')
}

function verdict(text, kind) {
  $('verdict').hidden = false
  $('verdict').textContent = text
  $('verdict').className = 'badge ' + kind
}

$('race').onsubmit = async event => {
  event.preventDefault()
  $('fire').disabled = true
  await race(Number($('writers').value), Number($('payload').value), $('overlap').value.trim())
  $('fire').disabled = false
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
  act('PUT', valuePath($('name').value), size > 0 ? filler(size) : $('value').value)
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
