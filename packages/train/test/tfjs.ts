// Plain tfjs on the CPU backend, with gradients: what the loss tests run on.
import '@tensorflow/tfjs-backend-cpu';
import { env } from '@tensorflow/tfjs-core';
import { registerTfjsGradients } from '@masksearch/model';

env().set('IS_TEST', true); // no banner
registerTfjsGradients();
