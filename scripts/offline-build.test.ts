// Native builds find Node's headers without the network and without settings of npm. Configures only; compiles nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const native = join(import.meta.dirname, '../native');
/** Nothing listens there. */
const NOWHERE = 'http://127.0.0.1:9';
const packages = readdirSync(native).filter((name) =>
  existsSync(join(native, name, 'package.json')),
);

test.each(packages)(
  'native/%s is configured with an empty home and no network',
  (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'offline-build-'));
    const home = join(folder, 'home');
    mkdirSync(home);
    try {
      const out = join(folder, 'build');
      const { status, stdout, stderr } = spawnSync('cmake-js', ['configure', '--out', out], {
        cwd: join(native, name),
        encoding: 'utf8',
        env: {
          PATH: `${join(native, name, 'node_modules/.bin')}:${process.env['PATH']}`,
          HOME: home,
          http_proxy: NOWHERE,
          https_proxy: NOWHERE,
        },
      });
      expect(status, `${stdout}${stderr}`).toBe(0);
      const [, includes = ''] =
        /^CMAKE_JS_INC:\w+=(.*)$/m.exec(readFileSync(join(out, 'CMakeCache.txt'), 'utf8')) ?? [];
      expect(includes).toMatch(/node-api-headers/);
      for (const path of includes.split(';')) expect(path).toContain('node_modules');
      expect(readdirSync(home)).toEqual([]); // where cmake-js would keep what it downloads
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
