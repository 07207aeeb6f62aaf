# Two stages, non-root. `--target with-node` adds Node for stdio servers such as `command: [npx, -y, …]`.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/run.txt requirements/
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && /opt/gateway/bin/python -m compileall -q /opt/gateway/lib

FROM python:3.11-slim AS plain
RUN useradd --create-home --uid 10001 gateway && mkdir /data && chown gateway /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
# The public key is there where ./deploy.sh has made a pair; documents, where the configuration names some.
COPY gateway.yaml jwt-public.pe[m] *.openapi.jso[n] *.openapi.yam[l] ./
USER 10001
EXPOSE 3000 15020
CMD ["gateway", "serve", "--config", "gateway.yaml", "--host", "0.0.0.0", "--port", "3000"]

FROM node:22-slim AS node

FROM plain AS with-node
USER 0
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
USER 10001

FROM plain
