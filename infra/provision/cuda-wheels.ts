import type { PinnedWheel } from './python-wheel.ts';

const TARGET = { platform: 'manylinux1_x86_64', pythonVersion: '3.11' };

/**
 * The CUDA 12.2 and cuDNN 8.9 libraries that libtensorflow 2.15.1 was built for (1.6 GB to download). It looks for them
 * beside itself, so that only the driver must be the machine's own.
 */
export const CUDA_WHEELS: readonly PinnedWheel[] = [
  {
    requirement: 'nvidia-cublas-cu12==12.2.5.6',
    sha256: 'f448d8db463f9a2c7dd9a1e607c0961d3e95f825b86839c5882f7d073d406df0',
    sizeBytes: 417_825_305,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cuda-cupti-cu12==12.2.142',
    sha256: 'ce68d1009dd14215e38ed49643d31374c71d6fea381181cb0b9da7f19dfd1624',
    sizeBytes: 13_900_552,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cuda-nvrtc-cu12==12.2.140',
    sha256: 'b1cdcae6443cb7cdcfb5d1bf51896a148c9f82f9e65b27db9ab095eaed689aa7',
    sizeBytes: 23_430_053,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cuda-runtime-cu12==12.2.140',
    sha256: 'acb9cb7e44594a3512533497ea790d9f0b0e399abcc888584c157d1ffa080e41',
    sizeBytes: 845_802,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cudnn-cu12==8.9.4.25',
    sha256: '9f882d5b11753c566fd32427839089eb4f8ba7a58c28446ad359e32c40229723',
    sizeBytes: 720_096_787,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cufft-cu12==11.0.8.103',
    sha256: '72e961e578f9be9e316ccb4db8652c421dd0b57442624faa71061d452f449a67',
    sizeBytes: 98_570_970,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cusolver-cu12==11.5.2.141',
    sha256: '5a85c4653ce34339a5688137f494a0f903e0f0532418550998167f00844161da',
    sizeBytes: 124_890_758,
    target: TARGET,
  },
  {
    requirement: 'nvidia-cusparse-cu12==12.1.2.141',
    sha256: '4e13d6a51d2303dcb2a023ba09546811161f0334fc64e13689397bbd3b1eb126',
    sizeBytes: 195_268_625,
    target: TARGET,
  },
  {
    requirement: 'nvidia-nvjitlink-cu12==12.2.140',
    sha256: '95635cafbf9f96c38bea5200ab145a2e6aefbb5405e0b04c1e4ba54df2d84ec9',
    sizeBytes: 20_177_273,
    target: TARGET,
  },
];
