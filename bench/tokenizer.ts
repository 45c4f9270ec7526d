// Bench of the tokenizer: tokens per CPU second with offsets, on one core and through a pool; ids and offsets are checked.
//
//   node bench/tokenizer.ts DATA [PYTHON] >> bench/results/tokenizer.jsonl
//
// DATA holds tokenizers/ and wiki/. With PYTHON, an interpreter that has Hugging Face's `tokenizers`, every id and
// offset is compared with that library's first (bench/peers/tokenizer_offsets.py).
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readCorpus } from '../packages/corpus/src/index.ts';
import { EncodingPool, loadTokenizer, type Tokenizer } from '../packages/tokenizer/src/index.ts';
import { inLlama3Form, type ByteLevelFile } from '../packages/tokenizer/test/llama3-form.ts';

// What the project asks for, with offsets.
const FLOOR_TOKENS_PER_SECOND = 150_000;
const [data = '', python] = process.argv.slice(2);
const texts: string[] = [];
for await (const { text } of readCorpus(join(data, 'wiki/enwiki-shortened.xml.bz2'))) {
  texts.push(text);
}
const inputs = JSON.parse(readFileSync(join(data, 'tokenizers/inputs.json'), 'utf8')) as {
  text: string;
}[];

const temporary = mkdtempSync(join(tmpdir(), 'tokenizer-bench-'));
const paths = ['qwen2.5_tokenizer.rebuilt', 'gpt2_tokenizer', 'llama_tokenizer'].map((name) =>
  join(data, `tokenizers/${name}.json`),
);
for (const path of [...paths, writeLlama3Form()]) {
  const name = basename(path, '.json');
  const compared = python === undefined ? 0 : compareWithPeer(path, python);
  // A fresh tokenizer: the first pass fills its cache of words, the second finds them there.
  const tokenizer = loadTokenizer(path);
  for (const pass of ['first pass', 'second pass']) row(name, pass, oneCore(tokenizer), compared);
  row(name, `${availableParallelism()} worker threads`, await throughPool(tokenizer), compared);
}

rmSync(temporary, { recursive: true });

interface Timing {
  readonly tokens: number;
  /** Of all threads, so that other work on the machine does not count. */
  readonly seconds: number;
  /** Of a clock on the wall: what a pool gains, where nothing else runs. */
  readonly wallSeconds: number;
}

/** Llama 3's components and options over Qwen2.5's vocabulary. */
function writeLlama3Form(): string {
  const qwen = readFileSync(join(data, 'tokenizers/qwen2.5_tokenizer.rebuilt.json'), 'utf8');
  const path = join(temporary, "llama 3's form of qwen2.5.json");
  writeFileSync(path, JSON.stringify(inLlama3Form(JSON.parse(qwen) as ByteLevelFile)));
  return path;
}

/** Starts the clocks; the function returned reads them. */
function startClocks(): () => Pick<Timing, 'seconds' | 'wallSeconds'> {
  const before = process.cpuUsage();
  const started = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (user + system) / 1e6, wallSeconds: (performance.now() - started) / 1e3 };
  };
}

function oneCore(tokenizer: Tokenizer): Timing {
  const read = startClocks();
  let tokens = 0;
  for (const text of texts) tokens += tokenizer.encodeWithOffsets(text).ids.length;
  const times = read();
  for (const text of texts) {
    assert.equal(plain(tokenizer.decode(tokenizer.encode(text))), plain(text.normalize('NFC')));
  }
  return { tokens, ...times };
}

/** Round trips are up to NFC and, in Llama 2, up to ▁ for a space. */
function plain(text: string): string {
  return text.normalize('NFC').replaceAll('▁', ' ');
}

/** Of a second run, when the workers are warm. */
async function throughPool(tokenizer: Tokenizer): Promise<Timing> {
  const pool = new EncodingPool(tokenizer);
  let timing: Timing = { tokens: 0, seconds: 0, wallSeconds: 0 };
  for (let run = 0; run < 2; run++) {
    const read = startClocks();
    let tokens = 0;
    for await (const { ids } of pool.encode(texts)) tokens += ids.length;
    timing = { tokens, ...read() };
  }
  await pool.close();
  return timing;
}

/** @returns tokens compared. */
function compareWithPeer(path: string, interpreter: string): number {
  const all = [...inputs.map(({ text }) => text), ...texts];
  const output = execFileSync(
    interpreter,
    [join(import.meta.dirname, 'peers/tokenizer_offsets.py'), path],
    {
      input: all.map((text) => `${JSON.stringify(text.toWellFormed())}\n`).join(''),
      maxBuffer: 2 ** 30,
      encoding: 'utf8',
    },
  );
  const tokenizer = loadTokenizer(path);
  let tokens = 0;
  for (const [i, line] of output.trimEnd().split('\n').entries()) {
    const { ids, starts, ends } = tokenizer.encodeWithOffsets(all[i] ?? '');
    assert.deepEqual({ ids: [...ids], starts: [...starts], ends: [...ends] }, JSON.parse(line));
    tokens += ids.length;
  }
  return tokens;
}

function row(name: string, what: string, timing: Timing, compared: number): void {
  const { tokens, seconds, wallSeconds } = timing;
  const measured = Math.round(tokens / seconds);
  console.log(
    JSON.stringify({
      case: `${name}, ids and offsets, ${what}`,
      unit: 'tokens per CPU second',
      measured,
      floor: FLOOR_TOKENS_PER_SECOND,
      floorIs: 'what the project asks for per core',
      ratio: Number((measured / FLOOR_TOKENS_PER_SECOND).toFixed(2)),
      tokens,
      wallSeconds: Number(wallSeconds.toFixed(2)),
      text: 'enwiki excerpt',
      peer: compared === 0 ? null : 'tokenizers 0.23.2: same ids and offsets',
      tokensCompared: compared,
      machine: `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`,
      loadAverage: Number(loadavg()[0]?.toFixed(1)),
      commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
      command: 'node bench/tokenizer.ts DATA PYTHON',
      date: new Date().toISOString().slice(0, 10),
    }),
  );
}
