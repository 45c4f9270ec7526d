// Writes the Parquet fixtures of packages/corpus with DuckDB, a writer that shares nothing with our reader.
// Usage: npm install @duckdb/node-api@1.5.6-r.1 (in some other folder), then there: node corpus-parquet.mjs <fixtures folder>
import { DuckDBInstance } from '@duckdb/node-api';

const folder = process.argv[2];
const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();

/** Row 5 has no text; the largest file has several row groups. */
const rows = (count) => `
  SELECT (10 + i)::VARCHAR AS id, 'https://example.org/' || i AS url, 'Page ' || i AS title,
    CASE WHEN i = 5 THEN '' ELSE 'Page ' || i || ' is about number ' || i || '. Ünïcödé: 数.' END AS text
  FROM range(${count}) t(i) ORDER BY i`;

for (const codec of ['uncompressed', 'snappy', 'zstd', 'gzip', 'brotli', 'lz4_raw']) {
  await connection.run(
    `COPY (${rows(8)}) TO '${folder}/wiki-${codec}.parquet' (FORMAT parquet, COMPRESSION ${codec})`,
  );
}
await connection.run(
  `COPY (${rows(4100)}) TO '${folder}/wiki-groups.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)`,
);
await connection.run(
  `COPY (SELECT 1 AS id, 'x' AS body) TO '${folder}/no-text.parquet' (FORMAT parquet)`,
);
