// A rendered conversation in pieces: who is answerable for each stretch, and which stretches are foreign text.
import { InputError } from '@masksearch/core';
import type { ChatMessage, ChatTemplate, RenderOptions } from './chat-template.ts';

export interface ChatPiece {
  readonly text: string;
  /** The message that it belongs to; what a template writes around a message is that message's. */
  readonly message: number;
  /** Content of a message. Only the template's own text can hold special tokens. */
  readonly isContent: boolean;
}

/**
 * Renders a conversation so that the origin of every character is known. Joined, the pieces are exactly what
 * `template.render` gives, whatever the contents spell.
 *
 * Each content is replaced by a marker to see what the template writes around it, then put back alone to see what
 * the template makes of it (it may trim it or quote it as JSON).
 *
 * @throws {InputError} the template refuses the messages, leaves one out, writes one twice, or rewrites its own text
 *   depending on a content.
 */
export function renderPieces(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: RenderOptions = {},
): ChatPiece[] {
  const mark = markFor(messages);
  const marked = messages.map((message, i) => ({ ...message, content: mark(i) }));
  const skeleton = template.render(marked, options);
  const frames = framesOf(template, skeleton, messages, mark);
  const contents = messages.map((message, i) => {
    const one = marked.with(i, message);
    return contentOf(template, template.render(one, options), skeleton, mark(i), i);
  });
  const ends = messageEnds(template, skeleton, marked, options);
  const pieces: ChatPiece[] = [];
  let at = 0;
  for (const [i, frame] of frames.entries()) {
    for (const part of cutFrame(frame, i, (ends[i - 1] ?? 0) - at, messages.length)) {
      pieces.push({ ...part, isContent: false });
    }
    at += frame.length;
    if (i < messages.length) {
      pieces.push({ text: contents[i] ?? '', message: i, isContent: true });
      at += mark(i).length;
    }
  }
  if (pieces.map(({ text }) => text).join('') !== template.render(messages, options)) {
    throw new InputError(
      `${template.where}: expected a template whose text does not depend on what the messages say, received one that does.`,
    );
  }
  return pieces.filter(({ text }) => text !== '');
}

/** Markers that occur in no content: characters of the private use area around a number. */
function markFor(messages: readonly ChatMessage[]): (message: number) => string {
  const contents = messages.map(({ content }) => content).join('');
  let name = 'm';
  while (contents.includes(`\ue000${name}`)) name += 'm';
  return (message) => `\ue000${name}${message}\ue001`;
}

/** What the template writes before, between and after the markers. */
function framesOf(
  template: ChatTemplate,
  skeleton: string,
  messages: readonly ChatMessage[],
  mark: (message: number) => string,
): string[] {
  const frames: string[] = [];
  let at = 0;
  for (const [i, { role }] of messages.entries()) {
    const parts = skeleton.slice(at).split(mark(i));
    if (parts.length !== 2) {
      const problem = parts.length < 2 ? 'leaves it out or moves it' : 'writes it twice';
      throw new InputError(
        `${template.where}: expected message ${i} (${role}) once and in its place, received a template that ${problem}.`,
      );
    }
    const frame = parts[0] as string;
    frames.push(frame);
    at += frame.length + mark(i).length;
  }
  return [...frames, skeleton.slice(at)];
}

/** What the template makes of one content, the others being markers. */
function contentOf(
  template: ChatTemplate,
  rendered: string,
  skeleton: string,
  mark: string,
  message: number,
): string {
  const start = skeleton.indexOf(mark);
  const after = skeleton.slice(start + mark.length);
  const isFramed =
    rendered.length >= start + after.length &&
    rendered.startsWith(skeleton.slice(0, start)) &&
    rendered.endsWith(after);
  if (!isFramed) {
    throw new InputError(
      `${template.where}: expected the text around message ${message} not to depend on what it says, received a template where it does.`,
    );
  }
  return rendered.slice(start, rendered.length - after.length);
}

/**
 * Where each message ends in the skeleton: the length of the conversation rendered up to it. A conversation that
 * cannot be rendered alone, or is no prefix, leaves its end unknown: its text then counts to the next message.
 */
function messageEnds(
  template: ChatTemplate,
  skeleton: string,
  marked: readonly ChatMessage[],
  { tools }: RenderOptions,
): number[] {
  return marked.map((_, i) => {
    const text = renderOrNull(template, marked.slice(0, i + 1), tools);
    return text !== null && skeleton.startsWith(text) ? text.length : 0;
  });
}

function renderOrNull(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  tools: RenderOptions['tools'],
): string | null {
  try {
    return template.render(messages, tools === undefined ? {} : { tools });
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

/**
 * The template's text between two contents, cut where one message ends and the next begins.
 * @param end End of the message before, counted from the start of the frame; out of it if unknown.
 */
function cutFrame(
  frame: string,
  index: number,
  end: number,
  messages: number,
): { text: string; message: number }[] {
  if (index === messages) return [{ text: frame, message: messages - 1 }];
  const cut = end > 0 && end <= frame.length ? end : 0;
  return [
    { text: frame.slice(0, cut), message: index - 1 },
    { text: frame.slice(cut), message: index },
  ];
}
