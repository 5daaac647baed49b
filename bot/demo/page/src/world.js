import { createContext } from 'react'

// What every part of the page may need: names for mentions, who I am, and how to do something.
export const World = createContext({ data: {}, me: '', people: {}, app: {}, perform: async () => '' })
