import { runConformance } from '@masksearch/model/conformance';
import { createNativeModel } from './native-language-model.ts';

runConformance({
  name: 'native, 2 threads',
  create: (options) => createNativeModel({ ...options, threads: 2 }),
  skip: [],
});
