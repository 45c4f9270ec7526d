// How a model's own format writes searches and answers as text, and reads them back. Knows nothing about tokens.
import type { ToolDefinition } from '@masksearch/tokenizer';
import { z } from 'zod';
import { ALL_TAGS, END_OF_TEXT, invalidTurn, TAGS, type Action } from './protocol.ts';

/** Text of a turn in pieces: marks may be special tokens, what is between them never is. */
export interface TurnPiece {
  readonly text: string;
  readonly isMark: boolean;
}

/** One family's way of calling tools. */
export interface ToolFormat {
  /** Strings that may be special tokens of the tokenizer. */
  readonly marks: readonly string[];
  /** Writes a valid action. */
  write(action: Exclude<Action, { type: 'invalid' }>): TurnPiece[];
  /** Reads a turn without the token that ended it. */
  parse(turn: string): Action;
}

/** The search tool as templates show it to models. */
export const SEARCH_TOOL: ToolDefinition = {
  name: 'search',
  description: 'Searches an encyclopedia and returns the passages that fit best.',
  parameters: {
    type: 'object',
    properties: {
      query: { type: 'string', description: 'What to look up; several queries joined by " ; ".' },
      intent: { type: 'integer', description: 'Number of the line that the search is for.' },
    },
    required: ['query'],
  },
};

const searchArguments = z.strictObject({
  query: z.string().trim().min(1),
  intent: z.int().min(0).max(99).optional(),
});

const hermesCall = z.strictObject({
  name: z.literal(SEARCH_TOOL.name),
  arguments: searchArguments,
});

const llamaCall = z
  .strictObject({
    type: z.literal('function').optional(),
    name: z.literal(SEARCH_TOOL.name),
    parameters: searchArguments,
  })
  .transform(({ name, parameters }) => ({ name, arguments: parameters }));

const TOOL_CALL = { open: '<tool_call>', close: '</tool_call>' };
const PYTHON_TAG = '<|python_tag|>';

/** Qwen2.5's and Qwen3's, after Hermes: JSON with `arguments` between `<tool_call>` tags. */
export const hermesFormat: ToolFormat = {
  marks: [...Object.values(TAGS.think), ...Object.values(TAGS.answer), ...Object.values(TOOL_CALL)],
  write: (action) => [
    ...thoughtPieces(action.thought),
    ...(action.type === 'answer'
      ? answerPieces(action.text)
      : [
          mark(TOOL_CALL.open),
          plain(`\n${callText(action, 'arguments')}\n`),
          mark(TOOL_CALL.close),
        ]),
  ],
  parse: (turn) => parseWith(turn, /^<tool_call>\s*([^]*?)\s*<\/tool_call>$/, hermesCall),
};

/** Llama 3.x's: JSON with `parameters` and nothing around it. */
export const llamaFormat: ToolFormat = {
  marks: [...Object.values(TAGS.think), ...Object.values(TAGS.answer), PYTHON_TAG],
  write: (action) => [
    ...thoughtPieces(action.thought),
    ...(action.type === 'answer'
      ? answerPieces(action.text)
      : [plain(callText(action, 'parameters'))]),
  ],
  parse: (turn) => parseWith(turn, /^(?:<\|python_tag\|>)?\s*(\{[^]*\})$/, llamaCall),
};

function mark(text: string): TurnPiece {
  return { text, isMark: true };
}

function plain(text: string): TurnPiece {
  return { text, isMark: false };
}

function thoughtPieces(thought: string): TurnPiece[] {
  const { open, close } = TAGS.think;
  return thought === '' ? [] : [mark(open), plain(`\n${thought}\n`), mark(close), plain('\n\n')];
}

// As in the plain protocol, a space in front gives a name the tokens that it has inside a sentence.
function answerPieces(text: string): TurnPiece[] {
  return [mark(TAGS.answer.open), plain(` ${text}`), mark(TAGS.answer.close)];
}

/** JSON as the templates' `tojson` spaces it. */
function callText({ query, intent }: { query: string; intent?: number }, key: string): string {
  const values = [`"query": ${JSON.stringify(query)}`];
  if (intent !== undefined) values.push(`"intent": ${intent}`);
  return `{"name": "${SEARCH_TOOL.name}", "${key}": {${values.join(', ')}}}`;
}

const TURN = /^\s*(?:<think>([^]*?)<\/think>)?\s*([^]*?)\s*$/;
const ANSWER = /^<answer>([^]*?)<\/answer>$/;

/** A thought if there is one, then one call or one answer and nothing else. */
function parseWith(
  turn: string,
  call: RegExp,
  schema: z.ZodType<{ arguments: z.output<typeof searchArguments> }>,
): Action {
  const [, thought = '', rest = ''] = TURN.exec(turn) ?? [];
  const said = { thought: thought.trim() };
  if (hasMark(thought)) return invalidTurn('a tag inside a tag');
  const answer = ANSWER.exec(rest)?.[1];
  if (answer !== undefined) {
    if (hasMark(answer)) return invalidTurn('a tag inside a tag');
    if (answer.trim() === '') return invalidTurn('an empty action');
    return { type: 'answer', ...said, text: answer.trim() };
  }
  const json = call.exec(rest)?.[1];
  if (json === undefined) return invalidTurn('expected a thought, then a tool call or an answer');
  const parsed = schema.safeParse(parseJson(json));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return invalidTurn(`a tool call that is none: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { query, intent } = parsed.data.arguments;
  if (hasMark(query)) return invalidTurn('a tag inside a tag');
  return { type: 'search', ...said, query, ...(intent === undefined ? {} : { intent }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function hasMark(text: string): boolean {
  const marks = [...ALL_TAGS, ...Object.values(TOOL_CALL), PYTHON_TAG, END_OF_TEXT];
  return marks.some((tag) => text.includes(tag));
}
