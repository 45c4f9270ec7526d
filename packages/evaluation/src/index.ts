export * from './bootstrap.ts';
export * from './compare.ts';
export type { MetricRow } from './curves.ts';
export * from './evaluate.ts';
export * from './evaluation-record.ts';
export { renderReport, type ReportInput } from './render-report.ts';
export type { ReportTrajectory } from './report-trajectories.ts';
export * from './text-table.ts';
