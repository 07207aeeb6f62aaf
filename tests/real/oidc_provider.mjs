// A real OpenID provider whose user, ada, says yes to everything. Prints its issuer. Argument: the protected resource.
import http from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(path.resolve('.tools/oauth/node_modules/x.js'))
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))
const resource = process.argv[2]

// A client may ask for scopes later that it did not name when it registered: this provider would hold it to those.
const registration = async (req) => {
  const { scope, ...metadata } = JSON.parse(Buffer.concat(await collect(req)).toString())
  return metadata
}
const collect = async (req) => {
  const parts = []
  for await (const part of req) parts.push(part)
  return parts
}

const server = http.createServer()
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'gateway', client_secret: 'gateway-secret', grant_types: ['client_credentials'],
      redirect_uris: [], response_types: [], scope: 'mcp files:write',
    }],
    scopes: ['openid', 'offline_access', 'mcp', 'files:write'],
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, indicator) => ({
          scope: 'mcp files:write', audience: indicator, accessTokenFormat: 'jwt', accessTokenTTL: 3600,
        }),
      },
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  })
  const callback = provider.callback()
  server.on('request', async (req, res) => {
    if (req.url === '/reg' && req.method === 'POST') req.body = await registration(req)
    if (!req.url.startsWith('/interaction/')) return callback(req, res)
    const { prompt, params, session } = await provider.interactionDetails(req, res)
    if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId: 'ada' } })
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '))
    for (const [indicator, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
      grant.addResourceScope(indicator, scopes.join(' '))
    }
    await provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
  })
  console.log(issuer)
})
