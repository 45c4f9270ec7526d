// Search-R1 rows as the Parquet file that verl loads: nested columns as pandas and datasets write them.
import type { SearchR1Row } from './search-r1.ts';
import type { SchemaElement } from 'hyparquet';

const text = (name: string): SchemaElement => ({
  name,
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  repetition_type: 'OPTIONAL',
});
const group = (name: string, children: number): SchemaElement => ({
  name,
  num_children: children,
  repetition_type: 'OPTIONAL',
});
/** The three levels of a list; what follows is its element. */
const list = (name: string): SchemaElement[] => [
  { ...group(name, 1), converted_type: 'LIST' },
  { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
];

const COLUMNS: Readonly<Record<string, readonly SchemaElement[]>> = {
  id: [text('id')],
  question: [text('question')],
  golden_answers: [...list('golden_answers'), text('element')],
  data_source: [text('data_source')],
  prompt: [...list('prompt'), group('element', 2), text('content'), text('role')],
  ability: [text('ability')],
  reward_model: [
    group('reward_model', 2),
    group('ground_truth', 1),
    ...list('target'),
    text('element'),
    text('style'),
  ],
  extra_info: [
    group('extra_info', 2),
    { name: 'index', type: 'INT64', repetition_type: 'OPTIONAL' },
    text('split'),
  ],
};

/** The bytes of the file. Rows are held in memory: some hundred thousand are no trouble, beyond that write several files. */
export async function searchR1Parquet(rows: readonly SearchR1Row[]): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import('hyparquet-writer'); // only who exports loads it
  const names = Object.keys(COLUMNS) as (keyof SearchR1Row)[];
  const cell = (row: SearchR1Row, name: keyof SearchR1Row): unknown =>
    name === 'extra_info'
      ? { index: BigInt(row.extra_info.index), split: row.extra_info.split }
      : row[name];
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'schema', num_children: names.length },
      ...names.flatMap((name) => COLUMNS[name] ?? []),
    ],
    columnData: names.map((name) => ({ name, data: rows.map((row) => cell(row, name)) })),
  });
  return new Uint8Array(buffer);
}
