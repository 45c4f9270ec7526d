// What tests of synthesis share: a question and a gapped text, the oracle in all roles but those that a test speaks for.
import type { ChatRequest } from '@masksearch/chat';
import { buildIndexInMemory } from '@masksearch/search';
import { FILL_TASK, PASSAGES, questionTask, tagTokenizer } from './fixtures.ts';
import { RoleModel } from './role-model.ts';
import { resolveEpisodeConfig } from '../src/episode-config.ts';
import { oracleRoles } from '../src/synthesis/oracle-roles.ts';
import type { Role } from '../src/synthesis/prompts/prompts.ts';
import { resolveSynthesisConfig } from '../src/synthesis/synthesis-config.ts';
import type { SynthesisEnvironment } from '../src/synthesis/synthesize.ts';

export const search = await buildIndexInMemory(PASSAGES);
export const QUESTION = questionTask({});
export const oracle = oracleRoles([FILL_TASK, QUESTION]);
export const limits = { maxTurnTokens: 1000, maxPolicyTokens: 4000, maxContextTokens: 8000 };

type Overrides = Partial<Record<Role, (request: ChatRequest) => unknown>>;

/** The oracle in all roles but those given; strings are replied as they are. */
export function model(overrides: Overrides = {}): RoleModel {
  return new RoleModel((request, role) => {
    const reply = overrides[role]?.(request);
    if (reply === undefined) return oracle(request);
    return typeof reply === 'string' ? reply : JSON.stringify(reply);
  });
}

export function environmentOf(
  asked: RoleModel,
  changes: Partial<SynthesisEnvironment> = {},
): SynthesisEnvironment {
  return {
    tokenizer: tagTokenizer,
    search,
    models: { planner: asked, rewriter: asked, observer: asked, judge: asked },
    episode: resolveEpisodeConfig({ topK: 2, ...limits }),
    synthesis: resolveSynthesisConfig({}),
    seed: 1,
    ...changes,
  };
}

export const textsOf = (trajectory: { messages: readonly { author: string; text: string }[] }) =>
  trajectory.messages.map(({ text }) => text);
