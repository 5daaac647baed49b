import { createContext } from 'react'

// What every part of the page may need: the state, names for mentions, who I am, and how to do something.
export const World = createContext(null)
