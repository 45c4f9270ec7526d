// Compares the functions that src/binding.ts declares with those that the compiled addon registers.
import { bindingDifferences, loadBinding } from '../src/load-binding.ts';

const { missing, undeclared } = bindingDifferences(loadBinding());
for (const name of missing) console.error(`${name}: declared in src/binding.ts, not registered.`);
for (const name of undeclared) console.error(`${name}: registered, not in src/binding.ts.`);
if (missing.length + undeclared.length > 0) process.exitCode = 1;
else console.log('The addon registers what src/binding.ts declares.');
