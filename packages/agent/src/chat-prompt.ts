// The prompt of an episode under a chat template: instructions as the system's message, the task as the user's.
import { InputError, type Author, type Task } from '@masksearch/core';
import {
  encodePieces,
  renderPieces,
  type ChatMessage,
  type ChatPiece,
  type ChatTemplate,
  type Tokenizer,
  type ToolDefinition,
} from '@masksearch/tokenizer';
import type { EncodedPrompt } from './episode-codec.ts';
import type { EpisodeConfig } from './episode-config.ts';
import { renderPrompt } from './protocol.ts';

export type AnswerForm = EpisodeConfig['answerForm'];

const TASK =
  'You answer questions and fill gaps in paragraphs with the help of a search engine over an encyclopedia.';
const ANSWERS: Readonly<Record<AnswerForm, string>> = {
  slots:
    'Answer a question in a few words. For a paragraph with gaps, written [mask], give only the missing texts in their order, separated by " ; ".',
  paragraph:
    'Answer a question in a few words. For a paragraph with gaps, written [mask], give the whole paragraph with every gap filled.',
};

/** What a model is told that writes searches in the protocol's tags. */
export function tagInstructions(answerForm: AnswerForm): string {
  return [
    TASK,
    'In every turn first think between <think> and </think>. Then either search for one thing, <search> query </search>, and read what was found between <information> and </information>; or, as soon as you know enough, end with <answer> answer </answer>.',
    ANSWERS[answerForm],
  ].join('\n');
}

/** What a model is told that calls the search tool in its own format. */
export function toolInstructions(answerForm: AnswerForm): string {
  return [
    TASK,
    'In every turn first think between <think> and </think>. Then either call the tool, once; or, as soon as you know enough, end with <answer> answer </answer>.',
    ANSWERS[answerForm],
  ].join('\n');
}

export interface ChatPromptOptions {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly instructions: string;
  readonly tools?: readonly ToolDefinition[];
}

/**
 * The tokens of a task's prompt up to where the assistant's turn is open. What the user's task spells is ordinary
 * characters. A template without a system role gets the instructions in the user's message.
 * @throws {InputError} the template cannot be used; see `renderPieces`.
 */
export function encodeChatPrompt(task: Task, options: ChatPromptOptions): EncodedPrompt {
  const text = renderPrompt(task);
  const { pieces, authors } = renderPrompted(text, options);
  const encoded = encodePieces(
    options.tokenizer,
    pieces.map((piece) => ({
      text: piece.text,
      // The instructions are ours: their tags are the ones that the model shall write.
      isTrusted: !piece.isContent || authors[piece.message] === 'system',
    })),
  );
  const authorOf = (t: number): 'system' | 'user' =>
    authors[pieces[encoded.pieces[t] as number]?.message ?? 0] ?? 'user';
  const parts: { author: 'system' | 'user'; ids: Int32Array }[] = [];
  for (let start = 0; start < encoded.ids.length;) {
    const author = authorOf(start);
    let end = start;
    while (end < encoded.ids.length && authorOf(end) === author) end++;
    parts.push({ author, ids: encoded.ids.slice(start, end) });
    start = end;
  }
  return { text, ids: encoded.ids, parts };
}

interface PromptPieces {
  readonly pieces: readonly ChatPiece[];
  readonly authors: readonly Extract<Author, 'system' | 'user'>[];
}

function renderPrompted(
  text: string,
  { template, instructions, tools }: ChatPromptOptions,
): PromptPieces {
  const options = { addGenerationPrompt: true, ...(tools === undefined ? {} : { tools }) };
  const render = (messages: readonly ChatMessage[]): ChatPiece[] =>
    withoutOpenThought(renderPieces(template, messages, options));
  try {
    const system: ChatMessage = { role: 'system', content: instructions };
    const pieces = render([system, { role: 'user', content: text.trim() }]);
    return { pieces, authors: ['system', 'user'] };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const content = `${instructions}\n\n${text.trim()}`;
    return { pieces: render([{ role: 'user', content }]), authors: ['user'] };
  }
}

/**
 * Some templates open the assistant's turn and its thought. Here the policy writes the opening tag itself, so that every
 * turn reads the same; the tokens of the whole are the same either way.
 */
export function withoutOpenThought(pieces: readonly ChatPiece[]): ChatPiece[] {
  const last = pieces.at(-1);
  if (last === undefined || last.isContent) return [...pieces];
  return pieces.with(-1, { ...last, text: last.text.replace(/<think>\s*$/, '') });
}
