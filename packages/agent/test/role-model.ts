// A language model of the tests: a function answers, and what was asked is kept by role.
import type { ChatModel, ChatRequest, ChatResponse } from '@masksearch/chat';
import { CHINESE } from '../src/synthesis/prompts/chinese.ts';
import { ENGLISH } from '../src/synthesis/prompts/english.ts';
import { ROLES, type Role } from '../src/synthesis/prompts/prompts.ts';

export function roleOf({ messages }: ChatRequest): Role {
  const system = messages[0]?.content;
  const role = ROLES.find((name) =>
    [ENGLISH, CHINESE].some((prompts) => prompts.system[name] === system),
  );
  if (role === undefined) throw new Error('no role');
  return role;
}

export class RoleModel implements ChatModel {
  readonly name: string;
  readonly structured = false;
  readonly asked: { readonly role: Role; readonly request: ChatRequest }[] = [];
  readonly #answer: (request: ChatRequest, role: Role) => string;

  constructor(answer: (request: ChatRequest, role: Role) => string, name = 'test:model') {
    this.#answer = answer;
    this.name = name;
  }

  /** What the user message of each request to a role said. */
  shown(role: Role): string[] {
    return this.asked
      .filter((entry) => entry.role === role)
      .map(({ request }) => request.messages[1]?.content ?? '');
  }

  complete(request: ChatRequest): Promise<ChatResponse> {
    const role = roleOf(request);
    this.asked.push({ role, request });
    const text = this.#answer(request, role);
    const usage = { inputTokens: 10, outputTokens: 5 };
    return Promise.resolve({ text, toolCalls: [], finish: 'stop', usage, model: 'm' });
  }
}
