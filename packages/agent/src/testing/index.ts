export { oracleRoles, type RoleChat } from './oracle-roles.ts';
