// The modal on top of a person's screen: its blocks, its inputs, its errors.
import { useContext, useEffect, useRef, useState } from 'react'
import { Blocks, pressed } from './blocks.jsx'
import { World } from './world.js'

export function Modal({ view }) {
  const { me, perform } = useContext(World)
  const [values, setValues] = useState({})
  const [waiting, setWaiting] = useState(false)
  const box = useRef(null)
  useEffect(() => {
    box.current.showModal()
    box.current.querySelector('textarea, input, select')?.focus()
  }, [])
  const submit = async () => {
    setWaiting(true)
    await perform('submit', { user: me, values }, { isQuiet: true })
    setWaiting(false)
  }
  const close = () => perform('close_view', { user: me })
  const onClick = (event) => {
    const hit = pressed(event.target, view.blocks)
    if (!hit) return
    event.stopPropagation()
    perform('click_in_view', { user: me, action_id: hit.element.action_id, values })
  }
  return (
    <dialog className="modal" data-modal={view.callback_id || view.id} ref={box} onCancel={(event) => { event.preventDefault(); close() }}>
      <header>
        <h2>{view.title.text}</h2>
        <button type="button" className="plain" onClick={close} aria-label="Close">✕</button>
      </header>
      <div className="inside" onClickCapture={onClick}>
        {view.blocks.map((block) => block.type === 'input'
          ? <Input key={block.block_id} block={block} error={view.errors?.[block.block_id]} onValue={(id, value) => setValues((old) => ({ ...old, [id]: value }))} />
          : <Blocks key={block.block_id} blocks={[block]} />)}
      </div>
      <footer>
        <button type="button" onClick={close}>{view.close?.text || 'Close'}</button>
        {view.submit && <button type="button" className="primary" data-submit disabled={waiting} onClick={submit}>{view.submit.text}</button>}
      </footer>
    </dialog>
  )
}

function Input({ block, error, onValue }) {
  const { element } = block
  const id = `input-${block.block_id}`
  const shared = {
    id,
    name: element.action_id,
    placeholder: element.placeholder?.text,
    maxLength: element.max_length,
    onChange: (event) => onValue(element.action_id, event.target.value),
  }
  return (
    <div className="input">
      <label htmlFor={id}>{block.label.text}{block.optional && <span className="note"> (optional)</span>}</label>
      {element.type === 'static_select'
        ? <select {...shared}><option value="">{element.placeholder?.text || 'Choose'}</option>{element.options.map((one) => <option key={one.value} value={one.value}>{one.text.text}</option>)}</select>
        : element.multiline ? <textarea rows="4" {...shared} /> : <input type="text" {...shared} />}
      {error && <p className="error" role="alert">{error}</p>}
      {block.hint && <p className="note">{block.hint.text}</p>}
    </div>
  )
}
