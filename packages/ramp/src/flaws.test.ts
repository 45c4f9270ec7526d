// The 21 flaws of the method's published data generator, each shown absent here.
import { describe, expect, it } from 'vitest';
import {
  CancelledError,
  InputError,
  MASK_MARKER,
  RandomStream,
  TimeoutError,
} from '@masksearch/core';
import type { Span } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { resolveRampConfig } from './config.ts';
import { numberSpans } from './dates-and-numbers.ts';
import { createDecontaminator } from './decontaminate.ts';
import { eligibleSpans } from './eligibility.ts';
import { extractSpans } from './extract.ts';
import { makeTasks } from './make-tasks.ts';
import { maskText, unmask } from './mask.ts';
import { readModelSpans } from './model-spans.ts';
import { selectSpans } from './select.ts';
import { spanOf } from './spans.ts';
import {
  barto,
  BARTO_SPANS,
  BARTO_TEXT,
  collect,
  corpus,
  documentOf,
  optionsOver,
  passagesOf,
  reasonsIn,
  tasksIn,
} from './testing.ts';
import { countOccurrences } from './words.ts';

const RULES = { allowLeadingMask: false };

function eligible(text: string, marked: readonly string[], title = 'Some Title'): string[] {
  const { spans } = documentOf({ id: 'd', title, text }, marked);
  const result = eligibleSpans({ text, title, aliases: [] }, spans, RULES);
  return result.eligible.map((span) => span.text);
}

describe('flaws of gen_qa.py', () => {
  it('1 cannot start: the default configuration makes tasks for every k', async () => {
    const tasks = tasksIn(await collect(await optionsOver(corpus, {})));
    expect(tasks.map(({ group }) => group)).toEqual(['k1', 'k2', 'k3', 'k4']);
  });

  it('2 eval of model output: only a JSON list of strings is read, nothing runs', () => {
    const attack = '(globalThis.wasRun = true, ["Amherst"])';
    expect(() => readModelSpans(BARTO_TEXT, attack)).toThrow(InputError);
    expect(globalThis).not.toHaveProperty('wasRun');
    for (const output of ['{"a": 1}', '["Amherst", 5]', '[""]', 'Amherst', '["Amherst"] ok']) {
      expect(() => readModelSpans(BARTO_TEXT, output)).toThrow(InputError);
    }
  });

  it('3 list changed while iterated: neighbours that repeat are all refused', () => {
    const text = 'See Rome, Oslo and Bern; then Rome, Oslo and Bern again, but Lima once.';
    expect(eligible(text, ['Rome', 'Oslo', 'Bern', 'Lima'])).toEqual(['Lima']);
  });

  it('4 sampling with replacement: k slots are k distinct spans', () => {
    const spans = barto.spans.slice(0, 5);
    for (let seed = 0; seed < 200; seed++) {
      const drawn = selectSpans(spans, 4, new RandomStream(seed, 'test'));
      expect(new Set(drawn.map(({ start }) => start)).size).toBe(4);
    }
  });

  it('5 absent entities: reported, and they use up no mask', () => {
    const output = JSON.stringify(['Amherst', 'Stanford', 'his', 'mathematic']);
    const { spans, absent } = readModelSpans(BARTO_TEXT, output);
    expect(spans.map(({ text }) => text)).toEqual(['his', 'Amherst']);
    expect(absent).toEqual(['Stanford', 'mathematic']);
    const elsewhere = { ...spanOf(BARTO_TEXT, [3, 7], 'date'), text: 'Rome' };
    const paragraph = { text: BARTO_TEXT, title: 'T', aliases: [] };
    expect(() => eligibleSpans(paragraph, [elsewhere], RULES)).toThrow(InputError);
  });

  it('6 substring matching: no span cuts a word or a number, no match inside one is a repetition', () => {
    const text = 'The 2006 edition had 0.75 points, −5 degrees, 6 judges and a judge named Ann.';
    const inside = [text.indexOf('6'), text.indexOf('75'), text.indexOf('5 degrees')];
    for (const start of inside) {
      const span = spanOf(text, [start, start + (start === inside[1] ? 2 : 1)], 'number');
      const result = eligibleSpans({ text, title: 'T', aliases: [] }, [span], RULES);
      expect(result.refused.map(({ reason }) => reason)).toEqual(['not-word-bounded']);
    }
    const six = text.indexOf('6 judges');
    const result = eligibleSpans(
      { text, title: 'T', aliases: [] },
      [spanOf(text, [six, six + 1], 'number')],
      RULES,
    );
    expect(result.eligible).toHaveLength(1);
    expect(eligible(text, ['judge named'])).toEqual(['judge named']);
  });

  it('7 nested spans: the longest stays and every slot keeps its mask', () => {
    const text = 'He studied at the University of Michigan in Ann Arbor.';
    const kept = eligible(text, ['Michigan', 'University of Michigan', 'University', 'Ann Arbor']);
    expect(kept).toEqual(['University of Michigan', 'Ann Arbor']);
    const slots = documentOf({ id: 'd', title: 'T', text }, kept).spans;
    expect(maskText(text, slots)).toBe('He studied at the [mask] in [mask].');
  });

  it('8 a masked marker: a span "mask" changes no other marker, and a text with a marker is refused', async () => {
    const text = 'He wore a mask that Zorro made.';
    const { spans } = documentOf({ id: 'd', title: 'T', text }, ['mask', 'Zorro']);
    expect(maskText(text, spans)).toBe('He wore a [mask] that [mask] made.');
    const marked = documentOf({ id: 'm', title: 'M', text: `${BARTO_TEXT} [MASK]` }, BARTO_SPANS);
    expect(reasonsIn(await collect(await optionsOver([marked])))).toEqual(['marker-in-text']);
  });

  it('9 a marker in the instruction: the masked paragraph holds k markers and no instruction', async () => {
    for (const task of tasksIn(await collect(await optionsOver([barto])))) {
      expect(task.masked.split(MASK_MARKER)).toHaveLength(task.k + 1);
      expect(unmask(task)).toBe(BARTO_TEXT);
    }
  });

  it('10 a changed gold text: a paragraph without the title stays as it is', async () => {
    const text = BARTO_TEXT.replace('Andrew Barto', 'he');
    const untitled = documentOf({ id: 'u', title: 'Andrew Barto', text }, BARTO_SPANS);
    const tasks = tasksIn(await collect(await optionsOver([untitled])));
    expect(tasks).toHaveLength(4);
    for (const task of tasks) expect(task.text).toBe(text);
  });

  it('11 the title: neither it nor an alias nor a part of one is masked', () => {
    const text = 'Once Barto met Andrew, A. G. Barto, Andy and a Bartonian in Rome.';
    const { spans } = documentOf({ id: 'd', title: '', text }, [
      'A. G. Barto',
      'Andrew',
      'Andy',
      'Bartonian',
      'Rome',
    ]);
    const paragraph = {
      text,
      title: 'Andrew Barto (scientist)',
      aliases: ['Andy', 'A. G. Barto'],
    };
    const { eligible: kept } = eligibleSpans(paragraph, spans, RULES);
    expect(kept.map((span) => span.text)).toEqual(['Bartonian', 'Rome']);
    const alias: Span = {
      ...spanOf(text, [text.indexOf('Rome'), text.indexOf('Rome') + 4], 'name'),
    };
    alias.aliases.push('Andrew Barto');
    expect(eligibleSpans(paragraph, [alias], RULES).refused[0]?.reason).toBe('subject');
  });

  it('12 language by path: where a document comes from changes nothing', async () => {
    const elsewhere = { ...barto, source: 'dumps/zhang/wiki-zh/AA' };
    const here = await collect(await optionsOver([barto]));
    expect(await collect(await optionsOver([elsewhere]))).toEqual(here);
  });

  it('13 page filters: empty and overlong paragraphs are counted, the word List is harmless', async () => {
    const text = `\n\n${BARTO_TEXT} List.\n\nToo short.\n\n${'word '.repeat(500)}`;
    const document = documentOf({ id: 'd', title: 'T', text }, BARTO_SPANS);
    const outcomes = await collect(await optionsOver([document], { rules: 'never' }));
    expect(reasonsIn(outcomes)).toEqual(['too-short', 'too-short', 'too-long']);
    expect(tasksIn(outcomes)).toHaveLength(4);
  });

  it('14 k tied to the paragraph: all ks share the paragraphs, and one drawn k ignores the spans', async () => {
    const config = { requireRetrievable: false, rules: 'never' } as const;
    const documents = Array.from({ length: 400 }, (_, i) => {
      const text = `Note number ${i} of many. ${BARTO_TEXT}`;
      const marked = BARTO_SPANS.slice(0, i % 2 === 0 ? 5 : 8);
      return documentOf({ id: `d${i}`, title: `T${i}`, text }, marked);
    });
    const all = tasksIn(await collect(await optionsOver(documents.slice(0, 5), config)));
    const passages = (k: number) => all.filter((t) => t.k === k).map(({ passageId }) => passageId);
    for (const k of [1, 2, 3, 4]) expect(passages(k)).toEqual(passages(1));

    const one = tasksIn(
      await collect(await optionsOver(documents, { ...config, ksPerPassage: 1 })),
    );
    expect(one).toHaveLength(400);
    for (const parity of [0, 1]) {
      for (const k of [1, 2, 3, 4]) {
        const count = one.filter(
          (task) => task.k === k && Number(task.documentId.slice(1)) % 2 === parity,
        ).length;
        // 200 draws at 1/4: 50, and four sigma are 25.
        expect(Math.abs(count - 50)).toBeLessThan(25);
      }
    }
    const poor = documentOf({ id: 'p', title: 'P', text: BARTO_TEXT }, BARTO_SPANS.slice(0, 4));
    expect(reasonsIn(await collect(await optionsOver([poor], config)))).toEqual(['too-few-spans']);
  });

  it('15 examples that teach errors: no prompt, and every extracted span is in the text as written', () => {
    const text =
      'A load factor of six, or 6, curves: at the University of Michigan, load factor again.';
    for (const span of extractSpans(text)) {
      expect(text.slice(span.start, span.end)).toBe(span.text);
    }
    expect(readModelSpans(text, '["exponential curve", "load factor"]')).toEqual({
      spans: [],
      absent: ['exponential curve'],
      repeated: ['load factor'],
    });
  });

  it('16 isdigit: decimals, groups, signs and ordinals are numbers', () => {
    const text = 'At 0.75 of 1,200 it fell to −5 and -7.5 on the 3rd try of F-16 in 1914-18.';
    const found = numberSpans(text).map((span) => span.text);
    expect(found).toEqual(['0.75', '1,200', '−5', '-7.5', '3rd']);
  });

  it('17 memory and chance: documents are read one by one, and no task depends on the others', async () => {
    let read = 0;
    async function* documents() {
      for (const document of corpus) {
        read++;
        yield document;
      }
    }
    const options = await optionsOver(corpus);
    const first = await makeTasks({ ...options, documents: documents() }).next();
    expect(first.done).toBe(false);
    expect(read).toBe(1);
    const forward = tasksIn(await collect(options));
    const backward = tasksIn(await collect({ ...options, documents: [...corpus].reverse() }));
    expect(backward).toEqual(forward);
    const again = tasksIn(await collect({ ...options, seed: 2 }));
    expect(again).not.toEqual(forward);
  });

  it('18 resume by title: a run cut anywhere goes on with exactly the missing tasks', async () => {
    const text = `${BARTO_TEXT}\n\nLater note. ${BARTO_TEXT}`;
    const spans = [...barto.spans];
    const offset = text.lastIndexOf(BARTO_TEXT);
    spans.push(...spans.map((s) => ({ ...s, start: s.start + offset, end: s.end + offset })));
    const options = await optionsOver([{ ...barto, text, spans }]);
    const all = tasksIn(await collect(options));
    expect(all).toHaveLength(8);
    for (let cut = 0; cut <= all.length; cut++) {
      const done = new Set(all.slice(0, cut).map(({ id }) => id));
      expect(tasksIn(await collect({ ...options, done }))).toEqual(all.slice(cut));
    }
  });

  it('19 hidden faults: errors pass through, a time-out is counted, nothing is tried for ever', async () => {
    class FailingSearch implements SearchTool {
      readonly provider = 'failing';
      calls = 0;
      readonly #error: Error;
      constructor(error: Error) {
        this.#error = error;
      }
      search(): Promise<never> {
        this.calls++;
        return Promise.reject(this.#error);
      }
    }
    const slow = new FailingSearch(new TimeoutError('search: expected an answer, received none.'));
    const outcomes = await collect(await optionsOver([barto], {}, { search: slow }));
    expect(reasonsIn(outcomes)).toEqual(['search-timeout']);
    expect(slow.calls).toBe(BARTO_SPANS.length);
    const broken = new FailingSearch(new InputError('search: broken index.'));
    await expect(collect(await optionsOver([barto], {}, { search: broken }))).rejects.toThrow(
      'broken index',
    );
  });

  it('20 repeated, contaminated and unfindable paragraphs give no task', async () => {
    const copy = { ...barto, id: 'copy', text: BARTO_TEXT.replace('. He', '.  He') };
    const copied = { ...copy, spans: [] };
    expect(reasonsIn(await collect(await optionsOver([barto, copied])))).toEqual(['duplicate']);

    const byText = createDecontaminator([{ text: `It is said: ${BARTO_TEXT.slice(8, 80)}` }]);
    const byTitle = createDecontaminator([{ title: 'Andrew Barto', text: '' }]);
    for (const isContaminated of [byText, byTitle]) {
      const outcomes = await collect(await optionsOver([barto], {}, { isContaminated }));
      expect(reasonsIn(outcomes)).toEqual(['contaminated']);
    }

    const text = BARTO_TEXT.replace('Amherst', 'Xanadu').replace('2025', '1066');
    const marked = ['1970', 'B.S.', 'mathematics', 'University of Michigan', 'Xanadu', '1066'];
    const unfindable = documentOf({ id: 'x', title: 'Andrew Barto', text }, marked);
    expect(reasonsIn(await collect(await optionsOver([unfindable])))).toEqual([
      'too-few-retrievable-spans',
    ]);
  });

  it('21 the whole paragraph as gold: a copy of the prompt holds no slot, and slots have offsets', async () => {
    for (const task of tasksIn(await collect(await optionsOver([barto])))) {
      expect(task.slots).toHaveLength(task.k);
      for (const slot of task.slots) {
        expect(task.text.slice(slot.start, slot.end)).toBe(slot.text);
        expect(countOccurrences(task.masked, slot.text)).toBe(0);
      }
    }
  });
});

describe('the settings of a run', () => {
  it('are checked', () => {
    expect(() => resolveRampConfig({ ks: [1, 1] })).toThrow('distinct ks');
    expect(() => resolveRampConfig({ ks: [0] })).toThrow('ramp: ks.0');
    expect(() => resolveRampConfig({ ksPerPassage: 5 })).toThrow('at most the number of ks');
    expect(() => resolveRampConfig({ minWords: 9, maxWords: 3 })).toThrow('minWords <= maxWords');
    // @ts-expect-error: a key of a later version
    expect(() => resolveRampConfig({ perplexity: true })).toThrow('perplexity');
  });

  it('include a signal that stops the run between passages', async () => {
    const controller = new AbortController();
    const options = await optionsOver(corpus, {}, { signal: controller.signal });
    const tasks = makeTasks(options);
    expect((await tasks.next()).done).toBe(false);
    controller.abort();
    await expect(collect(options)).rejects.toThrow(CancelledError);
  });

  it('may let a paragraph start with a mask', async () => {
    const text = BARTO_TEXT.slice('In '.length);
    const document = documentOf({ id: 'd', title: 'Andrew Barto', text }, BARTO_SPANS);
    const leading = async (allowLeadingMask: boolean) => {
      const config = { allowLeadingMask, ks: [7], requireRetrievable: false };
      const options = await optionsOver([document], config);
      return tasksIn(await collect(options)).some(({ masked }) => masked.startsWith(MASK_MARKER));
    };
    expect(await leading(true)).toBe(true);
    expect(await leading(false)).toBe(false);
  });

  it('hide the source document from search, or only the source passage', async () => {
    const text = `${BARTO_TEXT}\n\n${corpus[1]?.text}`;
    const document = { ...barto, text };
    const twoPassages = passagesOf(document).map(({ id }) => id);
    const others = { search: (await optionsOver([document])).search };
    const whole = await optionsOver([document], { requireRetrievable: false }, others);
    const [task] = tasksIn(await collect(whole));
    expect(task?.excludedPassages).toEqual(twoPassages);
    const config = { requireRetrievable: false, excludeDocument: false };
    const [lenient] = tasksIn(await collect(await optionsOver([document], config, others)));
    expect(lenient?.excludedPassages).toEqual([twoPassages[0]]);
  });
});
