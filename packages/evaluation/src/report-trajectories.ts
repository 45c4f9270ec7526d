// Example episodes in the HTML report: who wrote what, in the order in which it was written.
import { goldsOf, type Message, type Task } from '@masksearch/core';
import { html, type Html } from './html.ts';

/** An episode to show. */
export interface ReportTrajectory {
  /** What played it: teacher, sft, rl, … */
  readonly stage: string;
  readonly task: Task;
  readonly messages: readonly Message[];
  readonly answer: readonly string[] | null;
  readonly verdict: { readonly accepted: boolean; readonly reason: string };
  readonly reward?: number;
}

/** One foldable card per episode; the first of each stage is open. */
export function trajectoryCards(trajectories: readonly ReportTrajectory[]): Html[] {
  const seen = new Set<string>();
  return trajectories.map((trajectory) => {
    const isFirst = !seen.has(trajectory.stage);
    seen.add(trajectory.stage);
    return card(trajectory, isFirst);
  });
}

function card(trajectory: ReportTrajectory, isOpen: boolean): Html {
  const { stage, task, messages, answer, verdict, reward } = trajectory;
  const verdictClass = verdict.accepted ? 'tag right' : 'tag wrong';
  const rewardLine =
    reward === undefined
      ? html``
      : html`<dt>Reward</dt>
          <dd>${reward.toFixed(2)}</dd>`;
  return html`<details class="trajectory" ${isOpen ? ' open' : ''}>
    <summary>
      <span class="tag">${stage}</span><span class="tag">${task.group}</span>
      <span class="asked">${askedText(task)}</span
      ><span class="${verdictClass}">${verdict.reason}</span>
    </summary>
    <div class="messages">
      ${messages.map(messageBlock)}
      <dl class="outcome">
        <dt>Expected</dt>
        <dd>
          ${goldsOf(task)
            .map((gold) => gold.text)
            .join(' · ')}
        </dd>
        <dt>Answered</dt>
        <dd>${answer ? answer.join(' · ') : 'nothing'}</dd>
        ${rewardLine}
      </dl>
    </div>
  </details>`;
}

function askedText(task: Task): string {
  return task.type === 'ramp' ? task.masked : task.question;
}

const AUTHOR_NAMES: Readonly<Record<Message['author'], string>> = {
  system: 'System',
  user: 'Task',
  policy: 'Model',
  tool: 'Search results',
};

function messageBlock({ author, text }: Message): Html {
  return html`<div class="message ${author}">
    <div class="author">${AUTHOR_NAMES[author]}</div>
    <pre>${highlighted(text)}</pre>
  </div>`;
}

/** The text with the tags of the episode protocol set off. */
function highlighted(text: string): Html[] {
  return text
    .split(/(<\/?(?:think|search|information|answer)>|\[mask\])/)
    .map((part, p) => (p % 2 === 1 ? html`<b>${part}</b>` : html`${part}`));
}
