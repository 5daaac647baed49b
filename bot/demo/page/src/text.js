// Slack's text conventions, both ways: what a person types, and what the drawing library must be told of.

const HIDDEN = '\u2060'

// The library turns &lt; back into < before it looks for mentions, and &gt; into "> ": escaped text must stay text.
function unescaped(text) {
  return text
    .replace(/&lt;(?=[@!#]|https?:|mailto:|tel:)/g, `<${HIDDEN}`)
    .replace(/&lt;/g, '<')
    .replace(/(^|\n)&gt;/g, '$1\u0000')
    .replace(/&gt;/g, '>')
    .replaceAll('\u0000', '&gt;')
    .replace(/&amp;(?=[lg]t;)/g, `&${HIDDEN}`)
    .replace(/&amp;/g, '&')
}

// The same blocks with every text object as the library wants it.
export function readable(node) {
  if (Array.isArray(node)) return node.map(readable)
  if (!node || typeof node !== 'object') return node
  const isText = (node.type === 'mrkdwn' || node.type === 'plain_text') && typeof node.text === 'string'
  if (isText) return { ...node, text: unescaped(node.text) }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, readable(value)]))
}

// What Slack's client sends for what was typed: escaped, with @names as mentions.
export function sent(typed, state) {
  const ids = new Map(state.people.map((one) => [one.name.toLowerCase(), `<@${one.id}>`]))
  ids.set(state.app.name.toLowerCase(), `<@${state.app.user_id}>`)
  for (const id of state.usergroups) ids.set('oncall', `<!subteam^${id}>`)
  const names = [...ids.keys()].sort((a, b) => b.length - a.length).map((name) => name.replace(/[^\w ]/g, '\\$&'))
  const mention = new RegExp(`(^|\\s)@(${names.join('|')})(?![\\w-])`, 'gi')
  return typed
    .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    .replace(mention, (_, before, name) => before + ids.get(name.toLowerCase()))
}

const MONTHS = { month: 'long', day: 'numeric', year: 'numeric' }
const DATES = {
  date_num: (at) => `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`,
  date: (at) => at.toLocaleDateString('en-US', MONTHS),
  date_short: (at) => at.toLocaleDateString('en-US', { ...MONTHS, month: 'short' }),
  date_long: (at) => at.toLocaleDateString('en-US', { ...MONTHS, weekday: 'long' }),
  time: (at) => clock(at),
  time_secs: (at) => clock(at, { second: '2-digit' }),
}

// A <!date^…> token in the reader's own time zone.
export function dated({ timestamp, format, fallback }) {
  const at = new Date(Number(timestamp) * 1000)
  if (Number.isNaN(at.getTime())) return fallback
  const isToday = at.toDateString() === new Date().toDateString()
  return format.replace(/\{(\w+?)(_pretty)?\}/g, (all, name, pretty) => {
    if (pretty && isToday) return 'today'
    return DATES[name] ? DATES[name](at) : all
  })
}

export function clock(at, more = {}) {
  return at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', ...more })
}
