// Jobs in PostgreSQL by pg-boss and graphile-worker: "boss DSN" or "graphile DSN" prints its counts.
import PgBoss from "pg-boss";
import { makeWorkerUtils } from "graphile-worker";

const [what, dsn] = process.argv.slice(2);

async function boss() {
  const boss = new PgBoss({ connectionString: dsn, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue("mail");
  for (let i = 0; i < 7; i++) await boss.send("mail", { secret: i });
  await boss.send("mail", {}, { startAfter: 3600 });
  const [one] = await boss.fetch("mail");
  const [two] = await boss.fetch("mail");
  await boss.fail("mail", two.id);
  const ready = await boss.getQueueSize("mail");
  await boss.stop({ graceful: false });
  return { ready, active: one ? 1 : 0 };
}

async function graphile() {
  const utils = await makeWorkerUtils({ connectionString: dsn });
  await utils.migrate();
  for (let i = 0; i < 5; i++) await utils.addJob("mail", { secret: i });
  await utils.addJob("mail", {}, { runAt: new Date(Date.now() + 3600e3) });
  const failed = await utils.addJob("mail", {}, { maxAttempts: 1 });
  await utils.permanentlyFailJobs([failed.id], "it was to fail");
  const { rows } = await utils.withPgClient((client) =>
    client.query("SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE attempts < max_attempts AND run_at <= now()"),
  );
  await utils.release();
  return { ready: rows[0].n };
}

console.log(JSON.stringify(await (what === "boss" ? boss() : graphile())));
process.exit(0);
