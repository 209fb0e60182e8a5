-- Snowflake reads the archive by a role of the AWS account: no key stands in any SQL. Run as ACCOUNTADMIN.
-- Replace 123456789012 by the account's number. The role is made later (docs/snowflake.md).
USE ROLE ACCOUNTADMIN;
CREATE STORAGE INTEGRATION IF NOT EXISTS MILEPOST_S3
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'S3'
  ENABLED = TRUE
  STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/milepost-snowflake'
  STORAGE_ALLOWED_LOCATIONS = ('s3://milepost-123456789012/archive/');
GRANT USAGE ON INTEGRATION MILEPOST_S3 TO ROLE MILEPOST_LOADER;

-- STORAGE_AWS_IAM_USER_ARN and STORAGE_AWS_EXTERNAL_ID are the stack's SnowflakeRoleArn and SnowflakeExternalId.
-- Then: ALTER STORAGE INTEGRATION MILEPOST_S3 SET STORAGE_AWS_ROLE_ARN = the stack's output SnowflakeReaderArn.
DESCRIBE INTEGRATION MILEPOST_S3;
