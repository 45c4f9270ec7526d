// Which language a task is in, by its characters.
import type { Task } from '@masksearch/core';
import { CHINESE } from './chinese.ts';
import { ENGLISH } from './english.ts';
import type { Prompts } from './prompts.ts';

/** Share of Chinese among the letters from which on a text counts as Chinese. */
const CHINESE_SHARE = 0.3;

/** @param language `auto` looks at the text of the task and at nothing else. */
export function promptsFor(task: Task, language: 'auto' | 'en' | 'zh'): Prompts {
  if (language !== 'auto') return language === 'zh' ? CHINESE : ENGLISH;
  const text = task.type === 'ramp' ? task.text : task.question;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const chinese = text.match(/\p{Script=Han}/gu)?.length ?? 0;
  return letters > 0 && chinese / letters >= CHINESE_SHARE ? CHINESE : ENGLISH;
}
