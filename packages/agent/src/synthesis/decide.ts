// What is kept: well-formed trajectories that the judges asked for agree on. Doubt rejects.
import type { Task } from '@masksearch/core';
import type { ChatModel } from '@masksearch/chat';
import { examine, type JudgedRecord, type Verdict } from '../judge.ts';
import { askJudge, type RoleCall } from './role-calls.ts';
import type { SynthesisConfig } from './synthesis-config.ts';

export interface Decision {
  readonly verdict: Verdict;
  /** What each check said. */
  readonly verdicts: Record<string, string>;
}

/**
 * Form comes first, then support by what was retrieved, then the rule check on the answer, then the judge model; the
 * first that objects gives the reason, and a judge model is not asked about what is rejected anyway.
 */
export async function decide(options: {
  readonly task: Task;
  readonly episode: JudgedRecord;
  readonly judge: ChatModel | null;
  readonly synthesis: SynthesisConfig;
  readonly call: RoleCall;
}): Promise<Decision> {
  const { task, episode, judge, synthesis, call } = options;
  const { acceptance, requireSupport } = synthesis;
  const findings = examine(task, episode);
  const verdicts: Record<string, string> = { rule: findings.answer ?? 'accepted' };
  const rejected = (reason: string): Decision => ({
    verdict: { accepted: false, reason },
    verdicts,
  });
  if (findings.form !== null) return rejected(findings.form);
  if (acceptance !== 'model' && findings.answer !== null) return rejected(findings.answer);
  if (requireSupport && findings.support !== null) return rejected(findings.support);
  if (acceptance !== 'rule' && judge !== null) {
    const said = await askJudge(judge, task, episode.answer ?? [], call);
    verdicts['model'] = said;
    if (said !== 'correct') return rejected(`judge: ${said}`);
  }
  return { verdict: { accepted: true, reason: 'accepted' }, verdicts };
}
