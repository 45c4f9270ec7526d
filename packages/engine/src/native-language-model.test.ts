import { runConformance, runGolden } from '@masksearch/model/conformance';
import { createNativeModel, type NativeModelOptions } from './create-native-model.ts';

for (const threads of [1, 2]) {
  const implementation = {
    name: `native, threads ${threads}`,
    create: (options: NativeModelOptions) => createNativeModel({ ...options, threads }),
  };
  runConformance({ ...implementation, skip: [] });
  runGolden({ ...implementation, skip: [] });
}
