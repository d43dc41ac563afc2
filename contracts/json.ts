/** A value that survives JSON and Temporal payload conversion unchanged: no Map, Date, bigint or typed array. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
