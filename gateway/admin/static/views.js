// The views in their order: a title, a sentence, and a function that gives elements.
import { calls, live, sessions } from "./calls.js";
import { overview } from "./overview.js";
import { configuration, findings, limits, rules, switches } from "./policies.js";
import { costs, tools } from "./tools.js";

export const VIEWS = {
  overview: { title: "Overview", lead: "What was used, by whom, and how well it went.", ranged: true, show: overview },
  live: { title: "Live", lead: "Each call of this process as it ends.", show: live },
  calls: { title: "Calls", lead: "Every model and tool call in the ledger.", ranged: true, show: calls },
  sessions: { title: "Sessions", lead: "What an agent did: each model call, and the tools it asked for beneath it.", ranged: true, show: sessions },
  tools: { title: "Tools", lead: "How often tools are called, how well that goes, and whether they are still what was approved.", ranged: true, show: tools },
  costs: { title: "Tool costs", lead: "A tool is paid for in every request that defines it, and its results in every later turn.", ranged: true, show: costs },
  findings: { title: "Findings", lead: "What policies refused, masked or noted; alike ones are one row.", ranged: true, show: findings },
  limits: { title: "Limits", lead: "Who is near a limit, the nearest first.", show: limits },
  switches: { title: "Kill switches", lead: "What is off, everywhere, within a second.", show: switches },
  rules: { title: "Rules", lead: "Try an expression against a call that happened.", ranged: true, show: rules },
  configuration: { title: "Configuration", lead: "What is in force. Secrets are hidden.", show: configuration },
};
