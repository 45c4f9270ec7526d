import { runConformance, runGolden } from '../conformance/index.ts';
import { createTfjsModel } from './tfjs-language-model.ts';

const implementation = { name: 'tfjs cpu', create: createTfjsModel };

runConformance({ ...implementation, skip: [] });
runGolden({
  ...implementation,
  skip: [
    {
      reason: '14 s at 0.7 GFLOP/s; its AdamW equals the reference, which passes this test',
      tests: ['eight steps of AdamW'],
    },
  ],
});
