// What a worker's thread does with a job: one share of a dump → what is known of it, as JSON.
import { shardToJson, verifyShard } from "turboquant-kv/oracle/dumps";

export default async ({ data }) => shardToJson(await verifyShard(data.dump, data.share));
