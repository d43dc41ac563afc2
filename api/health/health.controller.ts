import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Access } from '../auth/access.ts';
import { LivenessDto, ReadinessDto } from './health.dto.ts';
import { HealthService } from './health.service.ts';
import { Metrics } from './metrics.service.ts';

@ApiTags('health')
@Controller()
export class HealthController {
  private readonly health: HealthService;
  private readonly metrics: Metrics;

  constructor(@Inject(HealthService) health: HealthService, @Inject(Metrics) metrics: Metrics) {
    this.health = health;
    this.metrics = metrics;
  }

  @Get('health/live')
  @ApiOperation({ summary: 'Whether the process runs (503 once it is shutting down).' })
  @ApiOkResponse({ type: LivenessDto })
  @ApiServiceUnavailableResponse({ type: LivenessDto })
  live(@Res({ passthrough: true }) reply: FastifyReply): LivenessDto {
    return withStatus(reply, this.health.live());
  }

  @Get('health/ready')
  @ApiOperation({ summary: 'Whether it can answer searches: 200 when ready or degraded, else 503.' })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({ type: ReadinessDto })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<ReadinessDto> {
    return withStatus(reply, await this.health.ready());
  }

  @Get('metrics')
  @Access('read', { uncounted: true })
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiOperation({ summary: 'Figures for Prometheus.' })
  @ApiProduces('text/plain')
  @ApiOkResponse({ schema: { type: 'string' } })
  read(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}

function withStatus<State extends LivenessDto | ReadinessDto>(reply: FastifyReply, state: State): State {
  const isWell = state.status === 'ok' || state.status === 'ready' || state.status === 'degraded';
  void reply.code(isWell ? 200 : 503).header('cache-control', 'no-store');
  return state;
}
