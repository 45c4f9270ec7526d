// The search tool as other formats describe it: a function with a list of queries.

export const SEARCH_FUNCTION = {
  name: 'web_search',
  description:
    'Searches for documents. Several queries are searched at once and their results interleaved.',
  parameters: {
    type: 'object',
    properties: {
      queries: { type: 'array', items: { type: 'string' }, description: 'What to search for.' },
    },
    required: ['queries'],
  },
} as const;

/** A thought before an action, in the tag that trainers of reasoning models know. */
export function thinkBlock(thought: string): string {
  return thought === '' ? '' : `<think>${thought}</think>`;
}
