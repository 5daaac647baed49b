// Selects, pickers and text inputs, which the library draws but cannot tell us of.
import { useContext } from 'react'
import { World } from './world.js'

const TEXTS = { plain_text_input: 'text', email_text_input: 'email', url_text_input: 'url', number_input: 'number' }
const PICKERS = { datepicker: 'date', timepicker: 'time', datetimepicker: 'datetime-local' }
const SELECTS = ['static_select', 'users_select', 'channels_select', 'conversations_select', 'overflow']
const SEVERAL = ['multi_static_select', 'multi_users_select', 'multi_channels_select', 'checkboxes']
const DRAWN = new Set([...Object.keys(TEXTS), ...Object.keys(PICKERS), ...SELECTS, ...SEVERAL, 'radio_buttons'])

export function isControl(element) {
  return DRAWN.has(element?.type)
}

// `onValue` gets what the local Slack calls the value: text, an option's value, or a list of them.
export function Control({ element, id, kept, onValue, onEnter, label, describedBy }) {
  const groups = useGroups(element)
  const initial = kept !== undefined ? kept : initially(element)
  const common = { id, name: element.action_id, 'aria-label': label, 'aria-describedby': describedBy }
  const changed = (event) => onValue(event.target.value)
  if (element.type in TEXTS) {
    const text = { ...common, defaultValue: initial ?? '', placeholder: element.placeholder?.text, maxLength: element.max_length, onChange: changed }
    if (element.multiline) return <textarea rows="4" {...text} />
    const onKeyDown = (event) => event.key === 'Enter' && onEnter?.()
    return <input type={TEXTS[element.type]} step={element.is_decimal_allowed ? 'any' : undefined} {...text} onKeyDown={onKeyDown} />
  }
  if (element.type in PICKERS) {
    const isMoment = element.type === 'datetimepicker'
    const start = isMoment && initial ? local(initial) : initial ?? ''
    const picked = (event) => onValue(isMoment ? Math.floor(new Date(event.target.value) / 1000) || '' : event.target.value)
    return <input type={PICKERS[element.type]} {...common} defaultValue={start} onChange={picked} />
  }
  if (element.type === 'overflow') {
    const chosen = (event) => {
      onValue(event.target.value)
      event.target.value = ''
    }
    return <select className="overflow" {...common} aria-label="More actions" defaultValue="" onChange={chosen}><option value="">⋯</option><Options groups={groups} /></select>
  }
  if (SELECTS.includes(element.type)) {
    return (
      <select {...common} defaultValue={initial ?? ''} onChange={changed}>
        <option value="">{element.placeholder?.text || 'Choose'}</option>
        <Options groups={groups} />
      </select>
    )
  }
  return <Boxes element={element} id={id} groups={groups} initial={initial} onValue={onValue} />
}

function Boxes({ element, id, groups, initial, onValue }) {
  const isOne = element.type === 'radio_buttons'
  const picked = (event) => {
    const boxes = [...event.currentTarget.querySelectorAll('input:checked')].map((one) => one.value)
    onValue(isOne ? boxes[0] : boxes)
  }
  return (
    <div className="boxes" role={isOne ? 'radiogroup' : 'group'} id={id} onChange={picked}>
      {groups.flatMap((group) => group.options).map((one) => (
        <label key={one.value}>
          <input type={isOne ? 'radio' : 'checkbox'} name={`${id}-${element.action_id}`} value={one.value} defaultChecked={[initial].flat().includes(one.value)} />
          <span>{one.text.text}{one.description && <small>{one.description.text}</small>}</span>
        </label>
      ))}
    </div>
  )
}

function Options({ groups }) {
  return groups.map((group, number) => {
    const options = group.options.map((one) => <option key={one.value} value={one.value}>{one.text.text}</option>)
    return group.label ? <optgroup key={number} label={group.label.text}>{options}</optgroup> : options
  })
}

// Options in groups, whatever they stand for: [{label?, options: [{value, text}]}].
function useGroups(element) {
  const { people, channels } = useContext(World)
  const named = (things) => [{ options: things.map((one) => ({ value: one.id, text: { text: one.real_name || one.name } })) }]
  if (element.type.includes('users')) return named(Object.values(people))
  if (element.type.includes('channels') || element.type.includes('conversations')) return named(channels)
  return element.option_groups || [{ options: element.options || [] }]
}

function initially(element) {
  if (element.initial_options) return element.initial_options.map((one) => one.value)
  if (element.initial_option) return element.initial_option.value
  const key = Object.keys(element).find((one) => one.startsWith('initial_'))
  return key && element[key]
}

function local(seconds) {
  const at = new Date(seconds * 1000)
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
