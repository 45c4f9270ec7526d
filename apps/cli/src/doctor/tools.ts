// Checks of what builds the project: Node, pnpm, compiler, CMake, nvcc.
import { checkTool, type Check } from './check.ts';

/** First version that runs TypeScript without a flag. */
const NODE_NEEDED = [22, 18] as const;

export function checkTools(): Check[] {
  const { CXX } = process.env;
  return [
    checkNode(),
    checkTool({
      name: 'pnpm',
      required: false,
      commands: [['pnpm', '--version']],
      fix: 'npm run setup (npm scripts work without it)',
    }),
    checkTool({
      name: 'C++ compiler',
      required: true,
      commands: compilers().map((compiler) => [compiler, '--version']),
      fix: CXX ? `unset CXX, which names ${CXX}, or install that` : 'sudo apt-get install g++',
    }),
    checkTool({
      name: 'CMake',
      required: true,
      commands: [['cmake', '--version']],
      fix: 'sudo apt-get install cmake',
    }),
    checkTool({
      name: 'build tool',
      required: true,
      commands: [
        ['ninja', '--version'],
        ['make', '--version'],
      ],
      fix: 'sudo apt-get install ninja-build',
    }),
  ];
}

/** What CMake would look for, as in scripts/setup.mjs. */
function compilers(): readonly string[] {
  const { CXX } = process.env;
  return CXX ? [CXX] : ['c++', 'g++', 'clang++'];
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1]);
  return {
    name: 'Node',
    required: true,
    state: ok ? 'ok' : 'missing',
    detail: `${process.version} (${process.execPath})`,
    ...(ok
      ? {}
      : { fix: `npm run setup brings Node 24; ${NODE_NEEDED.join('.')} is the oldest that works` }),
  };
}
