// node bullmq.mjs produce|work|count PORT ...: BullMQ itself, for the tests.
import { Queue, Worker } from "bullmq";

const [what, port, ...words] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const nap = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

if (what === "produce") {
  const queue = new Queue("mail", { connection });
  const [count, seconds] = words.map(Number);
  for (let n = 0; n < count; n++) await queue.add("nap", { seconds });
  await queue.add("later", {}, { delay: 500000 });
  await queue.add("fails", { fail: true });
  await queue.close();
} else if (what === "count") {
  const queue = new Queue("mail", { connection });
  const counts = await queue.getJobCounts();
  const [oldest] = await queue.getWaiting(0, 0);
  const workers = await queue.getWorkersCount();
  console.log(JSON.stringify({ ...counts, workers, oldest: oldest?.timestamp ?? null }));
  await queue.close();
} else {
  const worker = new Worker(
    "mail",
    async (job) => {
      if (job.data.fail) throw new Error("it was to fail");
      await nap(job.data.seconds);
    },
    { connection, concurrency: Number(words[0]) },
  );
  await worker.waitUntilReady();
  console.log("ready");
}
