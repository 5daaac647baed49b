// The modal on top of a person's screen: its blocks, its inputs, its errors.
import { useContext, useEffect, useRef } from 'react'
import { Blocks } from './blocks.jsx'
import { Control, isControl } from './controls.jsx'
import { useInteraction } from './interaction.jsx'
import { World } from './world.js'

// What was entered, by view: a modal that comes back to the top still holds it.
const entered = new Map()

export function Modal({ view }) {
  const { me, perform, during } = useContext(World)
  const box = useRef(null)
  const values = () => Object.fromEntries([...entered.get(view.id) || []].filter(([id]) => actionIds(view).has(id)))
  const keep = (id, value) => entered.set(view.id, new Map(entered.get(view.id)).set(id, value))
  const { isWaiting, question, use, onClickCapture } = useInteraction(view.id, view.blocks, ({ element }, value) => {
    if (value !== undefined && element.type !== 'overflow') keep(element.action_id, value)
    return perform('click_in_view', { user: me, action_id: element.action_id, value, values: values() })
  })
  useEffect(() => {
    box.current.showModal()
    box.current.querySelector('.inside :is(textarea, input, select)')?.focus()
  }, [])
  const submit = () => !isWaiting && view.submit && during(view.id, () => perform('submit', { user: me, values: values() }))
  const close = (everything) => perform('close_view', { user: me, everything })
  const onCancel = (event) => {
    event.preventDefault()
    close(false)
  }
  return (
    <dialog className="modal" data-modal={view.callback_id || view.id} aria-labelledby="modal-title" ref={box} onCancel={onCancel}>
      <header>
        <h2 id="modal-title">{view.title.text}</h2>
        <button type="button" className="plain" onClick={() => close(true)} aria-label="Close">✕</button>
      </header>
      <div className="inside"><fieldset disabled={isWaiting} onClickCapture={onClickCapture}>
        {view.blocks.map((block) => block.type === 'input'
          ? <Input key={block.block_id} block={block} error={view.errors?.[block.block_id]} kept={values()[block.element.action_id]} onValue={keep} onEnter={submit} onUse={use} />
          : <Blocks key={block.block_id} blocks={[block]} onControl={use} />)}
      </fieldset></div>
      <footer>
        <button type="button" data-close onClick={() => close(false)}>{view.close?.text || 'Close'}</button>
        {view.submit && <button type="button" className="primary" data-submit disabled={isWaiting} onClick={submit}>{view.submit.text}</button>}
      </footer>
      {question}
    </dialog>
  )
}

function Input({ block, error, kept, onValue, onEnter, onUse }) {
  const { element } = block
  const id = `input-${block.block_id}`
  const changed = (value) => {
    onValue(element.action_id, value)
    const isText = /_input$/.test(element.type)
    if (block.dispatch_action && !isText) onUse({ block_id: block.block_id, element }, value)
  }
  return (
    <div className={error ? 'input wrong' : 'input'}>
      <label htmlFor={id}>{block.label.text}{block.optional && <span className="note"> (optional)</span>}</label>
      {isControl(element)
        ? <Control element={element} id={id} kept={kept} onValue={changed} onEnter={onEnter} describedBy={error && `${id}-error`} />
        : <Blocks blocks={[{ ...block, type: element.type }]} />}
      {error && <p className="error" role="alert" id={`${id}-error`}>{error}</p>}
      {block.hint && <p className="note">{block.hint.text}</p>}
    </div>
  )
}

function actionIds(view) {
  return new Set(view.blocks.flatMap((block) => [block.element, block.accessory, ...block.elements || []]).map((one) => one?.action_id))
}
