// From a trajectory to tokens for supervised training: encoded message by message, as a rollout would build them.
import { InputError, type Segment, type Task, type Trajectory } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { EpisodeCodec } from './episode-codec.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { renderPrompt, type Action } from './protocol.ts';
import { Transcript } from './transcript.ts';

/** One sequence for SFT. */
export interface TrajectoryExample {
  readonly taskId: string;
  readonly group: string;
  readonly ids: number[];
  /** 1 where the policy wrote the token: the labels. */
  readonly mask: number[];
  readonly segments: Segment[];
}

/**
 * The tokens of a trajectory. A rollout that samples the same turns has the same ids, mask and segments.
 * @param codec How the model is talked to; default the plain protocol.
 * @throws {InputError} the trajectory is not of this task, or a message is not of its author's form: the policy
 *   searches in every turn but the one that ends the episode with an answer.
 */
export function trajectoryToExample(
  trajectory: Trajectory,
  task: Task,
  tokenizer: Tokenizer,
  codec: EpisodeCodec = new ProtocolCodec(tokenizer),
): TrajectoryExample {
  const { taskId, group, messages, finishReason } = trajectory;
  if (taskId !== task.id || messages[0]?.text !== renderPrompt(task)) {
    throw new InputError(
      `trajectoryToExample(${taskId}): expected the trajectory's own task, received ${task.id} or another prompt.`,
    );
  }
  const transcript = new Transcript();
  for (const [index, { author, text }] of messages.entries()) {
    if (author === 'policy') {
      const ids = codec.encodeTurn(text);
      const where = `trajectoryToExample(${taskId}): message ${index}`;
      const ends = index === messages.length - 1 && finishReason === 'answer';
      checkAction(codec.parse(ids), ends ? 'answer' : 'search', where);
      transcript.appendPolicy(text, ids, new Float32Array(ids.length));
    } else if (author === 'tool') {
      transcript.append(author, text, codec.encodeInformation(text));
    } else if (index === 0) {
      transcript.appendPrompt(codec.prompt(task));
    } else {
      throw new InputError(
        `trajectoryToExample(${taskId}): expected turns of policy and tool after the prompt, received message ${index} of ${author}.`,
      );
    }
  }
  const { ids, mask, segments } = transcript;
  return { taskId, group, ids, mask, segments };
}

function checkAction(action: Action, expected: Action['type'], where: string): void {
  if (action.type === expected) return;
  const received = action.type === 'invalid' ? `an invalid turn (${action.reason})` : action.type;
  throw new InputError(
    `${where}: expected a turn that ends with ${expected}, received ${received}.`,
    { data: { where } },
  );
}
