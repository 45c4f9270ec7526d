import { runConformance } from '../conformance/index.ts';
import { createTfjsModel } from './tfjs-language-model.ts';

runConformance({ name: 'tfjs cpu', create: (options) => createTfjsModel(options), skip: [] });
