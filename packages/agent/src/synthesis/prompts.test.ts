// The prompts: their language, what they must not hold, and that their examples are valid replies.
import { describe, expect, it } from 'vitest';
import { maskTask, PASSAGES, FILL_TASK } from '../../test/fixtures.ts';
import { RoleModel } from '../../test/role-model.ts';
import { CHINESE } from './prompts/chinese.ts';
import { ENGLISH } from './prompts/english.ts';
import { oracleRoles } from './oracle-roles.ts';
import { promptHash, ROLES } from './prompts/prompts.ts';
import { synthesize } from './synthesize.ts';
import { environmentOf, model } from '../../test/synthesis-environment.ts';

describe('prompts', () => {
  it('are Chinese for Chinese text, whatever its file is called', async () => {
    const passage = {
      ...(PASSAGES[0] as (typeof PASSAGES)[number]),
      id: 'dumps/en/wiki#0',
      text: '贝洛在一七〇三年创办了古图公司，他出生于利希蒂。',
    };
    const task = maskTask(passage, ['古图公司']);
    const asked = new RoleModel((request) => oracleRoles([task])(request));
    const { provenance } = await synthesize(task, 0, environmentOf(asked));
    expect(provenance?.language).toBe('zh');
    expect(provenance?.prompts['planner']).toBe(promptHash(CHINESE, 'planner'));
    const english = await synthesize(
      { ...FILL_TASK, documentId: 'dumps/zhang/zh' },
      0,
      environmentOf(model()),
    );
    expect(english.provenance?.language).toBe('en');
  });

  it('hold no date, no other language, no marker that counts, and one hash each', () => {
    const texts = (prompts: typeof ENGLISH): string[] => [
      ...Object.values(prompts.system),
      ...Object.values(prompts.headings),
      prompts.lastTurn,
      prompts.noMoreReflection,
      prompts.repair('x'),
    ];
    for (const text of texts(ENGLISH)) {
      expect(text).not.toMatch(/[\u3000-\u9fff\uff00-\uffef]/);
      expect(text).not.toMatch(/today|current (date|time)/i);
    }
    const hashes = [ENGLISH, CHINESE].flatMap((prompts) =>
      ROLES.map((role) => promptHash(prompts, role)),
    );
    expect(new Set(hashes).size).toBe(8);
    expect(promptHash({ ...ENGLISH, lastTurn: 'x' }, 'judge')).not.toBe(hashes[3]);
  });

  it('give examples that are valid replies', () => {
    for (const { system } of [ENGLISH, CHINESE]) {
      for (const role of ['planner', 'rewriter', 'observer'] as const) {
        const examples = system[role].match(/(?<=^(?:Example: |示例：)).*$/gm) ?? [];
        expect(examples.length).toBeGreaterThan(0);
        for (const example of examples) {
          const value = JSON.parse(example) as { queries?: string[] };
          if (role === 'rewriter') expect(value.queries).toHaveLength(3);
        }
      }
    }
  });
});
