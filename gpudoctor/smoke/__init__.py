"""The smoke jobs: small networks that train on each GPU, who looks at the GPU meanwhile, and what all that proves."""
